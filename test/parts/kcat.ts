// kcat (librdkafka) as the independent reader of a topic: it shares no code with headwater and checks every CRC.

import { spawn } from 'node:child_process';

export interface KcatRecord {
  partition: number;
  offset: number;
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
}

/**
 * Every record of a topic, from its start (or the offset `from`, of one partition) to its present end, in the order of each
 * partition. Throws with kcat's own words; a topic that does not exist is an error.
 */
export async function readTopic(
  bootstrap: string,
  topic: string,
  partition?: number,
  from: number | 'beginning' = 'beginning',
): Promise<KcatRecord[]> {
  const only = partition === undefined ? [] : ['-p', String(partition)];
  const format = '%p %o %T %K %S\n%k%s\n';
  const settings = ['-X', 'check.crcs=true', '-X', 'fetch.wait.max.ms=20'];
  const args = ['-b', bootstrap, '-C', '-t', topic, ...only, '-o', String(from), '-e', '-q', ...settings];
  return parse(await kcat([...args, '-f', format]));
}

/** Runs kcat and returns its standard output. */
export function kcat(args: string[], input?: string | Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn('kcat', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.once('error', (error) => reject(new Error(`kcat can't be run (install kcat): ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out));
      else reject(new Error(`kcat ${args.join(' ')} ended with ${code}: ${err}`));
    });
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(input ?? '');
  });
}

function parse(out: Buffer): KcatRecord[] {
  const records: KcatRecord[] = [];
  let at = 0;
  while (at < out.length) {
    const end = out.indexOf(10, at);
    const [partition, offset, timestampMs, keyLength, valueLength] = out
      .toString('latin1', at, end)
      .split(' ')
      .map(Number);
    at = end + 1;
    const take = (length: number): Buffer | null => {
      if (length < 0) return null;
      at += length;
      return out.subarray(at - length, at);
    };
    const key = take(keyLength!);
    const value = take(valueLength!);
    records.push({ partition: partition!, offset: offset!, timestampMs: timestampMs!, key, value });
    at += 1;
  }
  return records;
}
