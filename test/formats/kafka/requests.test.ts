import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { apiOf } from './tables.ts';
import { decodeRequest, decodeRequestHeader, encodeRequest } from '../../../src/formats/kafka/envelope.ts';
import { hex } from './hex.ts';

// What kcat, the Java client, kafkajs and @platformatic/kafka sent to a door, see make-requests.ts beside the file.
const lines = readFileSync(new URL('../../golden/kafka/requests.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');

for (const line of lines) {
  const [client = '', key = '', version = '', digits = ''] = line.split(' ');
  test(`${client}'s request ${key} of version ${version} decodes wholly, and would be sent the same by us`, () => {
    const frame = hex(digits);
    const { header, reader } = decodeRequestHeader(frame);
    expect(header).toMatchObject({ apiKey: Number(key), apiVersion: Number(version) });
    const api = apiOf(header.apiKey)!;
    const message = decodeRequest(api, header.apiVersion, reader);
    expect(reader.remaining).toBe(0);
    expect(Buffer.concat(encodeRequest(api, header.apiVersion, header, message)).subarray(4)).toEqual(frame);
  });
}

test('all four clients are there, with producing and fetching', () => {
  for (const client of ['kcat', 'java', 'platformatic']) {
    expect(lines.filter((line) => line.startsWith(`${client} 00`) || line.startsWith(`${client} 01`))).toHaveLength(2);
  }
  expect(lines.some((line) => line.startsWith('kafkajs 00'))).toBe(true);
});
