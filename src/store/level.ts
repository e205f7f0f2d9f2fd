// Opening LevelDB the way headwater uses it: buffers in and out, no cache and no compression of its own (batches are
// compressed already), and directories synced, which LevelDB itself leaves to luck.

import { ClassicLevel } from 'classic-level';
import { open } from 'node:fs/promises';

export type Level = ClassicLevel<Buffer, Buffer>;
export type LevelOperation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer };

export interface LevelOptions {
  createIfMissing: boolean;
  writeBufferBytes: number;
}

/** An open LevelDB. Throws what classic-level throws (`code` LEVEL_DATABASE_NOT_OPEN, with the reason as `cause`). */
export async function openLevel(folder: string, options: LevelOptions): Promise<Level> {
  const level: Level = new ClassicLevel<Buffer, Buffer>(folder, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    cacheSize: 0,
    blockSize: 16 * 1024,
    writeBufferSize: options.writeBufferBytes,
    createIfMissing: options.createIfMissing,
    errorIfExists: false,
  });
  await level.open();
  return level;
}

/** Throws what says that another process holds the folder, if one does; touches no data. */
export async function checkUnlocked(folder: string): Promise<void> {
  // LevelDB takes the lock before it refuses this.
  const level = new ClassicLevel(folder, { createIfMissing: false, errorIfExists: true });
  await level.open().catch((error: unknown) => {
    if (isLocked(error)) throw error;
  });
  await level.close();
}

/** Of keys and values: about what the write-ahead log grows by. */
export function bytesOf(operations: readonly LevelOperation[]): number {
  return operations.reduce((sum, each) => sum + each.key.length + (each.type === 'put' ? each.value.length : 0), 0);
}

/** Makes the entries of a folder (new files, renames, removals) durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** True when LevelDB says that another process holds the folder. */
export function isLocked(error: unknown): boolean {
  return causes(error).some((each) => each.code === 'LEVEL_LOCKED');
}

/** True when LevelDB says that a file contradicts itself. */
export function isCorrupt(error: unknown): boolean {
  return causes(error).some((each) => each.code === 'LEVEL_CORRUPTION');
}

/** True when the error, or what caused it, is a full disk. */
export function isDiskFull(error: unknown): boolean {
  return causes(error).some((each) => each.code === 'ENOSPC' || /no space left/i.test(each.message));
}

function causes(error: unknown): { code?: string; message: string }[] {
  const chain: { code?: string; message: string }[] = [];
  for (let each = error; each instanceof Error && chain.length < 8; each = each.cause) {
    chain.push(each);
  }
  return chain;
}
