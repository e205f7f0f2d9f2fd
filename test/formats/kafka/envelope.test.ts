import { expect, test } from 'vitest';
import { apiVersions } from '../../../src/formats/kafka/18-api-versions.ts';
import { metadata } from '../../../src/formats/kafka/03-metadata.ts';
import {
  correlationIdOf,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/formats/kafka/envelope.ts';
import { hex } from './hex.ts';

const header = { correlationId: 77, clientId: 'pump-7' };

test('a request of a plain version has header 1, one of a flexible version header 2', () => {
  const message = { topics: null };
  const plain = Buffer.concat(encodeRequest(metadata, 1, header, message));
  expect(plain).toEqual(hex('00000014 0003 0001 0000004d 000670756d702d37 ffffffff'));
  const flexible = Buffer.concat(encodeRequest(metadata, 9, header, message));
  expect(flexible).toEqual(hex('00000016 0003 0009 0000004d 000670756d702d37 00 00 01 00 00 00'));
});

test('a request is read back with its header, tagged fields in it skipped', () => {
  const bytes = '0003 0009 0000004d ffff 01 05 02 aabb 00 01 00 00 00';
  const { header, reader } = decodeRequestHeader(hex(bytes));
  expect(header).toEqual({ apiKey: 3, apiVersion: 9, correlationId: 77, clientId: null });
  expect(decodeRequest(metadata, 9, reader)).toMatchObject({ topics: null, allowAutoTopicCreation: true });
});

test('the answer to ApiVersions has no tagged fields in its header, in any version', () => {
  const answer = Buffer.concat(encodeResponse(apiVersions, 3, 77, { errorCode: 0, apiKeys: [] }));
  expect(answer).toEqual(hex('0000000c 0000004d 0000 01 00000000 00'));
  expect(correlationIdOf(answer.subarray(4))).toBe(77);
  expect(decodeResponse(apiVersions, 3, answer.subarray(4))).toMatchObject({ errorCode: 0, apiKeys: [] });
});

test('other answers of flexible versions have them', () => {
  const answer = Buffer.concat(encodeResponse(metadata, 9, 77, { brokers: [], topics: [] }));
  expect(answer.subarray(4, 9)).toEqual(hex('0000004d 00'));
  expect(decodeResponse(metadata, 9, answer.subarray(4))).toMatchObject({ brokers: [], controllerId: -1 });
});
