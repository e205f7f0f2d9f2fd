import { expect, test } from 'vitest';
import { murmur2, partitionOfKey } from '../../src/formats/murmur2.ts';

// Key in hex, Utils.murmur2(key), Utils.toPositive(...) % 12: printed by Apache Kafka's Java client 4.3.1.
const VECTORS: [hex: string, hash: number, partition: number][] = [
  ['', 275646681, 9],
  ['61', -1563381124, 4],
  ['6162', 316155434, 2],
  ['616263', 479470107, 3],
  ['61626364', -1323649548, 8],
  ['3231', -973932308, 0],
  ['666f6f626172', -790332482, 6],
  ['612d6c6974746c652d6269742d6c6f6e672d737472696e67', -985981536, 8],
  ['706c616e742f68616c6c2d332f70726573732d372f74656d7065726174757265', 550720595, 11],
  ['c39c6ec3af63c3b664c3a92fe6b8a9e5baa6', 1879828062, 6],
  ['68616c6c2d332f70726573732d37', -284597492, 0],
  ['fffe807f0001', 1449444182, 2],
  ['ffffffff', 644171429, 5],
  ['000000', 1013532917, 5],
];

test.each(VECTORS)('the key %s hashes as in the Java client', (hex, hash, partition) => {
  const key = Buffer.from(hex, 'hex');
  expect(murmur2(key)).toBe(hash);
  expect(partitionOfKey(key, 12)).toBe(partition);
});

test('a long key with every byte value hashes as in the Java client', () => {
  const key = Buffer.from(Array.from({ length: 259 }, (_, index) => (index * 31 + 7) & 0xff));
  expect(murmur2(key)).toBe(-321027172);
  expect(partitionOfKey(key, 12)).toBe(4);
});
