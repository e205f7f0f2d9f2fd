// What the drivers in TypeScript share: their cell and options from the command line, and the lines of JSON that they
// print (see client.ts).

import { once } from 'node:events';

export interface DriverOptions {
  bootstrap: string;
  topic: string;
  group: string;
  /** Which compressions to produce with, one topic each; how many records, and how many at once. */
  compressions: string[];
  count: number;
  chunk: number;
  idempotent: boolean;
  /** How many partitions to read, and whether only what is committed. */
  partitions: number;
  committed: boolean;
  sessionMs: number;
  cooperative: boolean;
  instance?: string;
  metadata: string;
  timeMs: number;
  transactionalId: string;
  /** A topic of which a transaction commits this offset. */
  source: string;
  sourceOffset: number;
  /** A topic that the admin walk makes and removes. */
  made: string;
}

export const options = JSON.parse(process.argv[3]!) as DriverOptions;

export function say(name: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ name, ...fields })}\n`);
}

export function sayPartitions(name: 'partitions_assigned' | 'partitions_revoked', partitions: readonly number[]): void {
  say(name, { partitions: partitions.map((partition) => ({ partition })) });
}

/** Resolves when the test wants the member to leave. */
export async function stopped(): Promise<void> {
  await once(process, 'SIGTERM');
}

/** Runs the cell named on the command line; its exit code is not 0 when it throws. */
export async function drive(cells: Record<string, () => Promise<void>>): Promise<void> {
  await cells[process.argv[2]!]!();
  process.exit();
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
