import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isHeadwaterError } from '../../../src/errors.ts';
import { ByteWriter } from '../../../src/formats/bytes.ts';
import { allApis } from './tables.ts';
import { produce } from '../../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../../src/formats/kafka/01-fetch.ts';
import { metadata } from '../../../src/formats/kafka/03-metadata.ts';
import { apiVersions } from '../../../src/formats/kafka/18-api-versions.ts';
import { codecOf, MessageReader, MessageWriter } from '../../../src/formats/kafka/codec.ts';
import type { Api, Fields } from '../../../src/formats/kafka/schema.ts';
import { hex } from './hex.ts';

interface GoldenLine {
  name: string;
  version: number;
  bytes: Buffer;
  json: unknown;
}

// Written by Kafka's own message classes, see Messages.java beside it.
const golden: GoldenLine[] = readFileSync(new URL('../../golden/kafka/messages-4.3.1.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [name = '', version = '', digits = ''] = line.split(' ', 3);
    const json: unknown = JSON.parse(line.slice(name.length + version.length + digits.length + 3));
    return { name, version: Number(version), bytes: hex(digits), json };
  });

function decode(api: Api, fields: Fields, version: number, bytes: Buffer): unknown {
  const reader = new MessageReader(bytes, 10_000);
  const message = codecOf(fields, version, version >= api.flexibleFrom).read(reader);
  expect(reader.remaining).toBe(0);
  return message;
}

function encode(api: Api, fields: Fields, version: number, message: unknown): Buffer {
  const writer = new MessageWriter();
  codecOf(fields, version, version >= api.flexibleFrom).write(writer, message);
  return Buffer.concat(writer.pieces());
}

/** Kafka's JSON omits what is default and prints ids and bytes in base 64, records not at all. */
function expectLike(value: unknown, json: unknown, path: string): void {
  if (Buffer.isBuffer(value)) {
    if (json !== '') expect(value.toString('base64url'), path).toBe(json);
  } else if (Array.isArray(value)) {
    expect(json, path).toHaveLength(value.length);
    for (const [index, each] of value.entries()) expectLike(each, (json as unknown[])[index], `${path}[${index}]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(json as object)) {
      expect(Object.keys(value), path).toContain(key);
      expectLike((value as Record<string, unknown>)[key], each, `${path}.${key}`);
    }
  } else {
    expect(value, path).toBe(json);
  }
}

describe('the tables beside the messages of Kafka 4.3.1', () => {
  for (const api of allApis()) {
    for (const [direction, fields] of [
      ['Request', api.request],
      ['Response', api.response],
    ] as const) {
      test(`${api.name}${direction} decodes to the same values and encodes to the same bytes in every version`, () => {
        const lines = golden.filter(
          ({ name, version }) =>
            name === api.name + direction && version >= api.versions.min && version <= api.versions.max,
        );
        // Kafka 4 has no Produce before version 3 and no DeleteTopics before 1.
        const versions = api.versions.max - Math.max(api.versions.min, api === produce ? 3 : 0) + 1;
        expect(lines).toHaveLength(versions * 2);
        for (const { version, bytes, json } of lines) {
          const message = decode(api, fields, version, bytes);
          expectLike(message, json, `v${version}`);
          expect(encode(api, fields, version, message).toString('hex'), `v${version}`).toBe(bytes.toString('hex'));
        }
      });
    }
  }
});

describe('decoding', () => {
  test('a field that the version lacks has its default', () => {
    const message = decode(fetch, fetch.request, 4, encode(fetch, fetch.request, 4, emptyFetch));
    expect(message).toMatchObject({ sessionId: 0, sessionEpoch: -1, rackId: '', clusterId: null });
  });

  test('unknown tagged fields are skipped', () => {
    const bytes = hex('0000 01 00000000 01 2a 03 abcdef');
    expect(decode(apiVersions, apiVersions.response, 3, bytes)).toMatchObject({ errorCode: 0, apiKeys: [] });
  });

  test('a tagged field that does not fill its size is corrupt', () => {
    const bytes = hex('0000 01 00000000 01 03 02 0100');
    expect(() => decode(apiVersions, apiVersions.response, 3, bytes)).toThrow(/does not fill/);
  });

  test('null where null is not allowed is corrupt', () => {
    expectCode('FORMAT_CORRUPT', () => decode(metadata, metadata.request, 0, hex('ffffffff')));
    expect(decode(metadata, metadata.request, 1, hex('ffffffff'))).toMatchObject({ topics: null });
  });

  test('an array that claims more elements than bytes are left is truncated, and nothing is allocated for it', () => {
    expectCode('FORMAT_TRUNCATED', () => decode(metadata, metadata.request, 1, hex('7fffffff')));
  });

  test('a message of more elements than the limit is corrupt though it has the bytes for them', () => {
    const writer = new ByteWriter();
    writer.int32(10_001);
    for (let count = 0; count < 10_001; count++) writer.int16(0);
    expectCode('FORMAT_CORRUPT', () => decode(metadata, metadata.request, 1, writer.finish()));
  });

  test('a string that is not UTF-8 is corrupt, one that holds U+FFFD is not', () => {
    expectCode('FORMAT_CORRUPT', () => decode(metadata, metadata.request, 1, hex('00000001 0002 c3c3')));
    const message = decode(metadata, metadata.request, 1, hex('00000001 0003 efbfbd'));
    expect(message).toMatchObject({ topics: [{ name: '\ufffd' }] });
  });

  test('every message cut short at any byte is truncated or corrupt', () => {
    for (const { name, version, bytes } of golden) {
      const api = allApis().find((each) => name === `${each.name}Request` || name === `${each.name}Response`);
      if (api === undefined || version > api.versions.max) continue;
      const fields = name.endsWith('Request') ? api.request : api.response;
      for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 40)) {
        expectFormatError(() => decode(api, fields, version, bytes.subarray(0, length)));
      }
    }
  });
});

describe('encoding', () => {
  test('records go out as they are, without a copy', () => {
    const batches = [Buffer.alloc(700, 1), Buffer.alloc(800, 2)];
    const writer = new MessageWriter();
    const message = {
      acks: -1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 3, records: batches }] }],
    };
    codecOf(produce.request, 9, true).write(writer, message);
    expect(writer.messageBytes).toBe(1500 + writer.length);
    const pieces = writer.pieces();
    expect(pieces[1]).toBe(batches[0]);
    expect(pieces[2]).toBe(batches[1]);
    expect(decode(produce, produce.request, 9, Buffer.concat(pieces))).toMatchObject({
      topicData: [{ partitionData: [{ index: 3, records: Buffer.concat(batches) }] }],
    });
  });

  test('a field with a default may be left out', () => {
    const bytes = encode(fetch, fetch.request, 12, emptyFetch);
    expect(decode(fetch, fetch.request, 12, bytes)).toMatchObject({ replicaId: -1, sessionEpoch: -1, clusterId: null });
  });
});

const emptyFetch = { maxWaitMs: 1, minBytes: 1, topics: [] };

function expectCode(code: 'FORMAT_TRUNCATED' | 'FORMAT_CORRUPT', decoding: () => unknown): void {
  expect(decoding).toThrow(expect.objectContaining({ code }) as Error);
}

function expectFormatError(decoding: () => unknown): void {
  try {
    decoding();
  } catch (error) {
    if (isHeadwaterError(error, 'FORMAT_TRUNCATED') || isHeadwaterError(error, 'FORMAT_CORRUPT')) return;
    throw error;
  }
  expect.unreachable('a cut message decoded');
}
