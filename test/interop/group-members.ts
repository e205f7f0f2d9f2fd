// Members of consumer groups as processes of their own, of three makes that share no code with headwater or one another:
// Apache Kafka's VerifiableConsumer, librdkafka (confluent-kafka) and aiokafka. All print the same lines of JSON.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kafkaLib } from '../parts/kafka.ts';

const PYTHON = join(import.meta.dirname, '../../.parts/python/kafka');
const SCRIPT = join(import.meta.dirname, 'group_member.py');
const STICKY = 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor';
const FLAGS = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

export type Make = 'java' | 'confluent' | 'aiokafka';

export interface MemberOptions {
  bootstrap: string;
  topic: string;
  group: string;
  sessionMs: number;
  /** A static member's name. */
  instance?: string;
  /** KIP-848's protocol, in which the node says how long a session is. */
  isIncremental?: boolean;
}

export interface Member {
  /** Values in the order in which they came. */
  readonly values: string[];
  /** Partitions that it has. */
  readonly assigned: ReadonlySet<number>;
  /** All that it printed besides records. */
  readonly said: readonly string[];
  /** kill -9. */
  kill(): Promise<void>;
  /** SIGTERM: commits and leaves. */
  stop(): Promise<void>;
}

interface Event {
  name?: string;
  value?: string;
  partitions?: { partition: number }[];
}

export async function startMember(make: Make, options: MemberOptions): Promise<Member> {
  const child = make === 'java' ? await startJava(options) : startPython(make, options);
  const values: string[] = [];
  const said: string[] = [];
  const assigned = new Set<number>();
  createInterface({ input: child.stderr! }).on('line', (line) => said.push(line));
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { name, value, partitions = [] } = eventOf(line);
    if (name === 'record_data') values.push(value!);
    else said.push(line);
    if (name === 'partitions_assigned') for (const { partition } of partitions) assigned.add(partition);
    if (name === 'partitions_revoked') for (const { partition } of partitions) assigned.delete(partition);
  });
  const ended = once(child, 'exit');
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    await ended;
    assigned.clear();
  };
  return { values, assigned, said, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') };
}

function eventOf(line: string): Event {
  try {
    return JSON.parse(line) as Event;
  } catch {
    return {};
  }
}

async function startJava(options: MemberOptions): Promise<ChildProcess> {
  const { bootstrap, topic, group, sessionMs, instance, isIncremental } = options;
  const args = ['--bootstrap-server', bootstrap, '--topic', topic, '--group-id', group];
  const classic = ['--session-timeout', String(sessionMs), '--assignment-strategy', STICKY];
  const protocol = isIncremental === true ? ['--group-protocol', 'consumer'] : classic;
  const more = [...protocol, '--reset-policy', 'earliest', '--verbose'];
  const named = instance === undefined ? [] : ['--group-instance-id', instance];
  const name = 'org.apache.kafka.tools.VerifiableConsumer';
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
  const command = [...FLAGS, quiet, '-cp', await kafkaLib(), name, ...args, ...more, ...named];
  return spawn('java', command, { stdio: ['ignore', 'pipe', 'pipe'] });
}

function startPython(make: Make, options: MemberOptions): ChildProcess {
  const { bootstrap, topic, group, sessionMs, instance, isIncremental } = options;
  if (!existsSync(PYTHON)) {
    throw new Error(
      `no Kafka clients: python3 -m pip install --target ${PYTHON} confluent-kafka==2.16.1 aiokafka==0.14.0`,
    );
  }
  const protocol = isIncremental === true ? 'consumer' : 'classic';
  const args = [SCRIPT, make, bootstrap, topic, group, String(sessionMs), instance ?? '-', protocol];
  return spawn('python3', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PYTHONPATH: PYTHON } });
}
