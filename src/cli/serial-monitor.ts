// `headwater serial monitor`: what happens at a port, as it happens, in hex and as text, with the records that come of it.
// Of a port that the node holds the node tells, in answers with a bound; any other port is opened here.

import { monitorPort, type EventsPage } from '../serial/serial.ts';
import { createTrace } from '../trace.ts';
import type { Daemon } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { findPort, type PortOptions } from './serial-port.ts';
import { progress, writeOut, type Terminal } from './terminal.ts';

export interface MonitorOptions extends PortOptions {
  output: 'text' | 'json';
}

/** A line as the node's HTTP gives it, see src/http/serial.ts. */
interface Line {
  at?: number;
  kind: string;
  bytes?: number;
  hex?: string;
  topic?: string;
  keyHex?: string | null;
  way?: string;
  words?: string;
  state?: string;
  reason?: string;
  events?: number;
}

const WAIT_MS = 10_000;
const BYTES_A_ROW = 16;
const MARKS: Record<string, string> = { received: '<', sent: '>', frame: '#', record: '=', state: '*', missed: '!' };

export async function monitorSerial(given: string, options: MonitorOptions, terminal: Terminal): Promise<number> {
  const { signal, clock } = terminal;
  const found = await findPort(given, options, terminal);
  const show = async (lines: Line[]): Promise<void> => {
    const text = lines.map((line) => (options.output === 'json' ? `${JSON.stringify(line)}\n` : render(line))).join('');
    if (text !== '') await writeOut(terminal.out, text);
  };
  try {
    if ('port' in found) {
      const trace = createTrace({ write: () => undefined, clock });
      await monitorPort({ port: found.port, clock, trace, signal }, (page) => show(linesOf(page)));
    } else {
      progress(terminal, `through the node at ${found.daemon.url}, which holds this port as ${found.name}`);
      await follow(found.daemon, found.name, signal, show);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if ('daemon' in found) found.daemon.close();
  }
  return EXIT.interrupted;
}

async function follow(
  daemon: Daemon,
  name: string,
  signal: AbortSignal,
  show: (lines: Line[]) => Promise<void>,
): Promise<void> {
  let from = '';
  while (!signal.aborted) {
    const path = `/serial/${encodeURIComponent(name)}/events?wait=${WAIT_MS}${from}`;
    const { headers, text } = await daemon.get(path, 'application/x-ndjson');
    from = `&from=${String(headers['headwater-next'])}`;
    await show(
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line),
    );
  }
}

/** The same as the node's HTTP would give. */
function linesOf({ events, missed }: EventsPage): Line[] {
  const lines: Line[] = missed === 0 ? [] : [{ kind: 'missed', events: missed }];
  for (const { atMs, data, key, ...rest } of events) {
    const bytes = data === undefined ? {} : { hex: data.toString('hex') };
    lines.push({ at: atMs, ...rest, ...bytes, ...(key !== undefined && { keyHex: key?.toString('hex') ?? null }) });
  }
  return lines;
}

function render({ at, kind, bytes = 0, hex, topic, keyHex, way, words, state, reason, events }: Line): string {
  const time = at === undefined ? ''.padEnd(12) : new Date(at).toISOString().slice(11, 23);
  const head = `${time} ${MARKS[kind] ?? kind} `;
  if (kind === 'missed') return `${head}${events} events were missed here: the port is faster than this terminal\n`;
  if (kind === 'frame') return `${head}${MARKS[way ?? '']} ${visible(Buffer.from(words ?? ''))}\n`;
  if (hex === undefined) return `${head}${state}${reason === undefined ? '' : `: ${reason}`}\n`;
  const data = Buffer.from(hex, 'hex');
  const rest = bytes > data.length ? `${head}... ${bytes - data.length} more bytes\n` : '';
  if (kind !== 'record') return dump(data, head) + rest;
  const key = keyHex === undefined || keyHex === null ? '' : ` ${visible(Buffer.from(keyHex, 'hex'))}`;
  return `${head}${topic}${key}: ${visible(data)}\n${rest}`;
}

function dump(data: Buffer, head: string): string {
  let text = '';
  for (let at = 0; at < data.length; at += BYTES_A_ROW) {
    const row = data.subarray(at, at + BYTES_A_ROW);
    const hex = row.toString('hex').replaceAll(/..(?=.)/g, '$& ');
    const shown = row.toString('latin1').replaceAll(/[^ -~]/g, '.');
    text += `${at === 0 ? head : ' '.repeat(head.length)}${hex.padEnd(BYTES_A_ROW * 3)} ${shown}\n`;
  }
  return text;
}

/** Text as it is, with what a terminal would act on spelled out; what is no UTF-8 in hex. */
function visible(data: Buffer): string {
  const text = data.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(data)) return data.toString('hex');
  return text.replaceAll(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
