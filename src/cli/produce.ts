// `headwater produce`: lines of standard input become records of a topic. A request carries what one read of the input
// gave, and the next is read when its records are on the card: the input is held back, nothing is gathered.

import { isUtf8 } from 'node:buffer';
import { HeadwaterError } from '../errors.ts';
import { openDaemon, topicPath, type Daemon, type Whereabouts } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { progress, type Terminal } from './terminal.ts';

export interface ProduceOptions extends Whereabouts {
  format: 'text' | 'jsonl';
  key?: string;
  partition?: number;
  output: 'text' | 'json';
}

const LINE_BYTES_MAX = 1024 * 1024;
/** Of one request; the node takes 2 MiB, and text grows when it becomes JSON. */
const REQUEST_BYTES = 256 * 1024;

export async function produce(topic: string, options: ProduceOptions, terminal: Terminal): Promise<number> {
  if (options.format === 'jsonl' && (options.key !== undefined || options.partition !== undefined))
    throw new HeadwaterError('USAGE', 'with -f jsonl each record says its own key and partition: leave out -k and -p');
  const daemon = openDaemon(options, terminal);
  let records = 0;
  try {
    for await (const lines of linesOf(terminal.in)) {
      for (const body of bodies(lines, options)) records += await append(daemon, topic, body);
    }
  } catch (error) {
    if (terminal.signal.aborted) return EXIT.interrupted;
    if (records > 0) terminal.err.write(`${records} records were kept before this:\n`);
    throw error;
  } finally {
    daemon.close();
  }
  if (options.output === 'json') terminal.out.write(`${JSON.stringify({ topic, records })}\n`);
  progress(terminal, `${records} records are on the card`);
  return EXIT.done;
}

/** The whole lines that each read of the input completed. */
async function* linesOf(input: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    let bytes = Buffer.concat([rest, Buffer.from(chunk as Buffer)]);
    const lines: Buffer[] = [];
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a)) {
      lines.push(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    rest = bytes;
    if (rest.length > LINE_BYTES_MAX) throw new HeadwaterError('USAGE', `a line has more than ${LINE_BYTES_MAX} bytes`);
    yield lines;
  }
  if (rest.length > 0) yield [rest];
}

/** JSON lines, in pieces that a request can carry. */
function* bodies(lines: readonly Buffer[], options: ProduceOptions): Generator<string> {
  let body = '';
  for (const line of lines) {
    if (line.length === 0) continue;
    body += `${options.format === 'jsonl' ? line.toString('utf8') : toRecord(line, options)}\n`;
    if (body.length < REQUEST_BYTES) continue;
    yield body;
    body = '';
  }
  if (body !== '') yield body;
}

function toRecord(line: Buffer, { key, partition }: ProduceOptions): string {
  const value = isUtf8(line) ? { value: line.toString('utf8') } : { valueBase64: line.toString('base64') };
  return JSON.stringify({ ...(key !== undefined && { key }), ...(partition !== undefined && { partition }), ...value });
}

async function append(daemon: Daemon, topic: string, body: string): Promise<number> {
  const { text } = await daemon.send('POST', `${topicPath(topic)}/records`, body, 'application/x-ndjson');
  return (JSON.parse(text) as { records: number }).records;
}
