// Every client that a site may have against everything that it may do: the table is printed. A cell is a check of contents
// (see matrix-cells.ts); what a client itself can't do is a dash, and its reason stands below the table.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeBatch, stampOffset } from '../../src/formats/batch.ts';
import { CLIENTS, drive, type ClientName } from './clients/client.ts';
import * as cells from './matrix-cells.ts';
import { makeTopic, type Abilities, type Setting } from './matrix-cells.ts';
import { openNode, type Node } from './open-node.ts';

const ALL = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const PLAIN = ['none', 'gzip'];
const ABLE: Abilities = {
  compressions: ALL,
  writesAll: true,
  hasMetadata: true,
  metadataOf: (text) => text,
  survivesLoss: true,
  aborts: true,
  noAdmin: [],
};

/** What a client lacks; all others can do everything. */
const ABILITIES: Partial<Record<ClientName, Partial<Abilities>>> = {
  kcat: {
    writesAll: false,
    hasMetadata: false,
    survivesLoss: false,
    aborts: false,
    noAdmin: ['created', 'grown', 'config', 'start', 'listed', 'state', 'committed', 'moved', 'gone', 'dropped'],
  },
  // Its metadata carries the zero byte that ends a string in C.
  confluent: { metadataOf: (text) => `${text}\0` },
  kafkajs: { compressions: PLAIN },
  platformatic: { hasMetadata: false },
  aiokafka: { noAdmin: ['end', 'moved', 'gone'] },
};

const COLUMNS: Record<string, (setting: Setting) => Promise<string>> = {
  produce: cells.produce,
  idempotent: cells.idempotent,
  transactional: cells.transact,
  consume: cells.consume,
  'group of 3, 1 killed': cells.killed,
  cooperative: cells.cooperative,
  'static member': cells.staticMember,
  'commit, resume': cells.resume,
  'seek by time': cells.seek,
  'admin walk': cells.admin,
};

/** Why a cell is a dash. */
const NOT: Partial<Record<ClientName, Record<string, string>>> = {
  kafkajs: {
    cooperative: 'has eager assignors only',
    'static member': 'sends no group.instance.id',
  },
  aiokafka: { cooperative: 'has eager assignors only' },
};

let node: Node;
const mixed = { all: 'mixed', plain: 'mixed-plain' };
const table = new Map(CLIENTS.map((client) => [client, new Map<string, string>()]));

beforeAll(async () => {
  node = await openNode();
  await makeMixed(mixed.all, ALL);
  await makeMixed(mixed.plain, PLAIN);
});

/** What Java has written in each of these compressions, and records of headwater's own with all that may be null or empty. */
async function makeMixed(topic: string, compressions: string[]): Promise<void> {
  await makeTopic(node, topic, 2);
  for (const each of compressions) await makeTopic(node, `${topic}-${each}`, 2);
  const options = { bootstrap: node.bootstrap, topic, compressions, idempotent: false, count: 100, chunk: 100 };
  await drive('java', 'produce', options);
  const bytes = Buffer.from('Pegel, м, 水');
  const own = [
    { key: bytes, value: null, headers: [{ key: 'größe', value: bytes }] },
    { key: null, value: bytes, headers: [{ key: 'none', value: null }] },
    { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] },
  ];
  for (const partition of node.log.topic(topic)!.partitions) {
    for (const each of compressions) {
      const batches = await node.log.topic(`${topic}-${each}`)!.partitions[partition.index]!.read(0, 1 << 30);
      for (const batch of batches.map((each) => Buffer.from(each))) {
        stampOffset(batch, 0, 0);
        await partition.append(batch);
      }
    }
    await partition.append(
      encodeBatch(own.map((record, index) => ({ ...record, timestampMs: 1_600_000_000_000 + index }))),
    );
  }
}

afterAll(async () => {
  console.log(printed());
  const { malformed } = node.kafka.status();
  await node.close();
  expect(malformed, node.lines.join('\n')).toBe(0);
  const isWhole = [...table.values()].every((row) => row.size === Object.keys(COLUMNS).length);
  if (isWhole) expect(toldInDocs()).toEqual(rows());
});

/** The table of docs/kafka.md without the clients' names, which have their versions there. */
function toldInDocs(): string[][] {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/kafka.md'), 'utf8');
  const [, ...lines] = docs.slice(docs.indexOf('## Which clients')).split(/^\|--.*\n/m);
  const [told] = lines.join('').split('\n\n');
  return told!.split('\n').map((line) =>
    line
      .split('|')
      .slice(2, -1)
      .map((cell) => cell.trim()),
  );
}

function rows(): string[][] {
  const columns = Object.keys(COLUMNS);
  return CLIENTS.map((client) => columns.map((column) => table.get(client)!.get(column) ?? ''));
}

describe.for(CLIENTS)('%s', { concurrent: true }, (client) => {
  for (const [column, cell] of Object.entries(COLUMNS)) {
    if (NOT[client]?.[column] !== undefined) table.get(client)!.set(column, '-');
    else {
      test(column, { timeout: 180_000 }, async ({ onTestFinished }) => {
        table.get(client)!.set(column, 'FAILED');
        const abilities = { ...ABLE, ...ABILITIES[client] };
        table.get(client)!.set(column, await cell({ client, abilities, node, mixed, onTestFinished }));
      });
    }
  }
});

function printed(): string {
  const columns = Object.keys(COLUMNS);
  const named = rows().map((row, index) => [CLIENTS[index]!, ...row]);
  const lines = [['', ...columns], ['--', ...columns.map(() => '--')], ...named].map((row) => `| ${row.join(' | ')} |`);
  for (const [client, reasons] of Object.entries(NOT)) {
    for (const [column, reason] of Object.entries(reasons)) lines.push(`${client}, ${column}: ${reason}`);
  }
  return `\n${lines.join('\n')}\n`;
}
