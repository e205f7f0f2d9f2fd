// Words for tests of the HTTP door: a door on a free port over a log in memory, and a client that can say anything.

import { request, type IncomingHttpHeaders } from 'node:http';
import { systemClock } from '../../src/clock.ts';
import { openHttp, type HttpNeeds, type HttpRoom } from '../../src/http/http.ts';
import type { Status } from '../../src/http/status.ts';
import { createTrace } from '../../src/trace.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';

export const STATUS: Status = {
  node: 'pump-7',
  version: '1.2.3',
  pid: 42,
  uptimeSeconds: 60,
  health: { ok: true, reasons: [] },
  listening: { mqtt: '127.0.0.1:1883' },
  doors: [{ name: 'mqtt', state: 'open', records: 600, bytes: 72_000, clients: 3 }],
  serial: [],
  log: {
    topics: 1,
    partitions: 1,
    bytes: 1000,
    diskBytes: 2e9,
    budgetBytes: 8e9,
    segments: 2,
    appended: { records: 600, bytes: 1000, batches: 6 },
    read: { bytes: 0 },
    commits: { count: 6, bytes: 1000, seconds: 0.1, lastMs: 4, worstMs: 22 },
    credits: 3000,
    waitingBytes: 0,
    transactions: { open: 0, aborted: 0 },
    state: 'ok',
    room: {
      leftBytes: 5e9,
      recordBytesMax: 7e9,
      freeBytes: 20e9,
      ballastBytes: 32e6,
      ballastTargetBytes: 32e6,
      keptBytes: 1000,
      owedBytes: 500,
    },
    dropped: { records: 0, batches: 0, bytes: 0 },
    droppedUnsent: { batches: 0, bytes: 0 },
    losses: { gaps: 0, records: 0, forgotten: 0, quarantineBytes: 0 },
    scrubbed: { segments: 0, bytes: 0, damaged: 0 },
    cleaned: { segments: 0, made: 0, freedBytes: 0, writtenBytes: 0 },
  },
  clock: {
    state: 'synchronised',
    why: 'systemd-timesyncd keeps it',
    sinceSeconds: 60,
    timeMs: Date.UTC(2026, 5, 1, 12),
    systemMs: Date.UTC(2026, 5, 1, 12),
    bootId: '5f1d',
    unsureRecords: 0,
    boots: 0,
    unknownBoots: 0,
    jumps: 0,
  },
  wear: {
    commit: { intervalMs: 100, bytesPerDayMax: 14_688_000_000, yearsMin: 2.98 },
    card: { profile: 'sd', bytes: 32e9, enduranceBytes: 16e12, device: 'mmcblk0' },
    total: { seconds: 86_400, processBytes: 3e9, deviceBytes: 4e9, storedBytes: 1e9, records: 600 },
    recent: { seconds: 86_400, processBytesPerDay: 3e9, deviceBytesPerDay: 4e9, writtenPerStoredByte: 3 },
    yearsLeft: 10.9,
  },
  mirrors: [],
  rooms: {},
};

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: unknown;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export interface OpenDoor {
  room: HttpRoom;
  log: FakeLog;
  lines: string[];
  ask(path: string, how?: Ask): Promise<Reply>;
}

export async function openDoor(needs: Partial<HttpNeeds> = {}): Promise<OpenDoor> {
  const log = fakeLog();
  const lines: string[] = [];
  const room = await openHttp({
    listen: { host: '127.0.0.1', port: 0 },
    hosts: [],
    log,
    serial: { events: async () => ({ events: [], missed: 0, next: 0 }), send: () => undefined },
    status: () => STATUS,
    metrics: () => [],
    checks: async () => [],
    live: () => ({ ok: true, reasons: [] }),
    ready: () => ({ ok: true, reasons: [] }),
    clock: systemClock,
    trace: createTrace({ write: (line) => void lines.push(line) }),
    ...needs,
  });
  return { room, log, lines, ask: (path, how = {}) => ask(room.address.port, path, how) };
}

export function ask(port: number, path: string, how: Ask): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = how;
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parsed(text) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const JSON_BODY = { 'content-type': 'application/json' };
export const LINES_BODY = { 'content-type': 'application/x-ndjson' };
