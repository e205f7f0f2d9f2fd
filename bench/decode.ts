// `node bench/decode.ts`: what decoding costs, in us of processor time a record, by rule. Rounds of all rules in turn; the median of them.

import * as v from 'valibot';
import { decodeRule } from '../src/config-decode.ts';
import { compileRule } from '../src/decode/decode.ts';
import { table } from './report.ts';

const ROUNDS = 15;
const RECORDS = 100_000;

interface Case {
  name: string;
  rule: unknown;
  frames: Buffer[];
}

const eight = [
  { name: 'id', type: 'u16' },
  { name: 'flags', type: 'u8' },
  { name: 'on', type: 'bool' },
  { name: 'ts', type: 'u32' },
  { name: 'temperature', type: 'i16', scale: 0.01, unit: 'degC' },
  { name: 'pressure', type: 'u16', scale: 0.1 },
  { name: 'voltage', type: 'f32' },
  { name: 'count', type: 'u64' },
];

/** 1024 frames of that struct with values that differ. */
function structFrames(): Buffer[] {
  return Array.from({ length: 1024 }, (_, index) => {
    const frame = Buffer.alloc(24);
    frame.writeUInt16LE(index, 0);
    frame[2] = index & 0xff;
    frame[3] = index & 1;
    frame.writeUInt32LE(1_769_839_200 + index, 4);
    frame.writeInt16LE(2000 + (index % 500), 8);
    frame.writeUInt16LE(10_132 + (index % 97), 10);
    frame.writeFloatLE(3.3 + (index % 100) / 1000, 12);
    frame.writeBigUInt64LE(BigInt(index) * 1_000_003n, 16);
    return frame;
  });
}

function textFrames(write: (index: number) => string): Buffer[] {
  return Array.from({ length: 1024 }, (_, index) => Buffer.from(write(index)));
}

const struct = structFrames();
const line = textFrames((i) => `pump-${i % 7},${i % 256},1,${1_769_839_200 + i},21.${i % 100},1013.2,3.31,${i * 1003}`);
const json = textFrames((i) =>
  JSON.stringify({ id: `pump-${i % 7}`, ts: 1_769_839_200 + i, s: { t: i / 10, p: 1013 } }),
);
const columns = ['id', 'flags', 'on', 'ts', 't', 'p', 'v', 'n'].map((name, index) => {
  return { name, type: index === 0 ? 'text' : index === 2 ? 'bool' : 'number' };
});

const cases: Case[] = [
  { name: 'utf8', rule: 'utf8', frames: line },
  { name: 'struct, 8 fields, 24 bytes', rule: { struct: { fields: eight } }, frames: struct },
  {
    name: 'the same with key and time',
    rule: { struct: { fields: eight }, key: '{id}', time: { field: 'ts' } },
    frames: struct,
  },
  {
    name: 'struct, a list of 12 numbers',
    rule: { struct: { fields: [{ name: 'x', type: 'i16', count: 12 }] } },
    frames: struct,
  },
  { name: 'csv, 8 columns', rule: { csv: { columns } }, frames: line },
  { name: 'json, as it is', rule: 'json', frames: json },
  {
    name: 'json, 3 fields picked',
    rule: { json: { fields: [{ name: 'id' }, { name: 't', from: 's.t' }, { name: 'ts' }] } },
    frames: json,
  },
  { name: 'struct that does not fit', rule: { struct: { fields: eight.slice(1) } }, frames: struct },
];

const runs = cases.map(({ rule, frames }) => {
  const { decoder, problems } = compileRule(v.parse(decodeRule, rule), { topic: 'bench' });
  if (decoder === undefined) throw new Error(JSON.stringify(problems));
  return (): number => {
    const before = process.cpuUsage();
    for (let count = 0; count < RECORDS; count += 1) {
      decoder.decode(frames[count & 1023]!, 1_769_839_200_000, { port: 'p' });
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / RECORDS;
  };
});

const rounds = Array.from({ length: ROUNDS }, () => runs.map((run) => run()));
const rows = cases.map(({ name, frames }, index) => {
  const sorted = rounds.map((round) => round[index]!).toSorted((a, b) => a - b);
  return [name, String(frames[0]!.length), sorted[ROUNDS >> 1]!.toFixed(2), sorted[0]!.toFixed(2)];
});
console.log(table(['rule', 'bytes', 'CPU us/record, median', 'best'], rows).join('\n'));
