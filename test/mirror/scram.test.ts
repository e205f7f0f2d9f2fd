import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { expect, test } from 'vitest';
import { proveScram, ScramFault, startScram } from '../../src/mirror/scram.ts';

const PASSWORD = 'pencil';

// Examples of RFC 5802 (section 5) and RFC 7677 (section 3).
const SHA_1 = {
  hash: 'sha1',
  nonce: 'fyko+d2lbbFgONRv9qkxdawL',
  clientFirst: 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
  serverFirst: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
  clientFinal: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
  serverFinal: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
};
const SHA_256 = {
  hash: 'sha256',
  nonce: 'rOprNGfwEbeRWgbNEkqO',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

test.each([SHA_1, SHA_256])('the example of the RFC with $hash comes out to the letter', async (example) => {
  const start = startScram('user', example.nonce);
  expect(start.message).toBe(example.clientFirst);
  const proof = await proveScram(example.hash, start, example.serverFirst, PASSWORD);
  expect(proof.message).toBe(example.clientFinal);
  expect(() => proof.verify(example.serverFinal)).not.toThrow();
});

test('a wrong password gives another proof, and takes no server for the right one', async () => {
  const start = startScram('user', SHA_256.nonce);
  const proof = await proveScram('sha256', start, SHA_256.serverFirst, 'pencils');
  expect(proof.message).not.toBe(SHA_256.clientFinal);
  expect(() => proof.verify(SHA_256.serverFinal)).toThrow(ScramFault);
});

test.each([
  '',
  'v=',
  'v=AAAA',
  'e=other-error',
  `v=${'A'.repeat(43)}=`,
  'x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
])('a server that ends with %j has not proved anything', async (final) => {
  const proof = await proveScram('sha256', startScram('user', SHA_256.nonce), SHA_256.serverFirst, PASSWORD);
  expect(() => proof.verify(final)).toThrow('does not prove');
});

test.each([
  ['another nonce', 'r=other,s=QSXCR+Q6sek8bf92,i=4096', 'our nonce'],
  ['our nonce and nothing of its own', `r=${SHA_256.nonce},s=QSXCR+Q6sek8bf92,i=4096`, 'our nonce'],
  ['too few iterations', `r=${SHA_256.nonce}x,s=QSXCR+Q6sek8bf92,i=4095`, '4095'],
  ['iterations for a week', `r=${SHA_256.nonce}x,s=QSXCR+Q6sek8bf92,i=2000000000`, '2000000000'],
  ['no number', `r=${SHA_256.nonce}x,s=QSXCR+Q6sek8bf92,i=4096e3`, 'cannot be read'],
  ['no salt', `r=${SHA_256.nonce}x,s=,i=4096`, 'cannot be read'],
  ['an extension that must be known', `m=x,r=${SHA_256.nonce}x,s=QSXCR+Q6sek8bf92,i=4096`, 'cannot be read'],
  ['a novel', `r=${SHA_256.nonce}${'x'.repeat(5000)},s=QSXCR+Q6sek8bf92,i=4096`, 'cannot be read'],
  ['nothing', '', 'cannot be read'],
])('a challenge with %s is refused', async (_, challenge, why) => {
  await expect(proveScram('sha256', startScram('user', SHA_256.nonce), challenge, PASSWORD)).rejects.toThrow(why);
});

test('a comma and an equals sign in a name are written as the RFC says', () => {
  expect(startScram('a=b,c', 'r').message).toBe('n,,n=a=3Db=2Cc,r=r');
});

test('with SHA-512 the server finds the proof that its stored key expects', async () => {
  const start = startScram('Jürgen');
  const first = `r=${start.nonce}more,s=${Buffer.from('salt').toString('base64')},i=4096`;
  const { message } = await proveScram('sha512', start, first, 'Straße');
  // As a server does it: the client key is the proof without its mask, and its hash is what was stored.
  const salted = pbkdf2Sync('Straße', 'salt', 4096, 64, 'sha512');
  const clientKey = createHmac('sha512', salted).update('Client Key').digest();
  const [withoutProof = '', proof = ''] = message.split(',p=');
  const auth = `${start.bare},${first},${withoutProof}`;
  const mask = createHmac('sha512', createHash('sha512').update(clientKey).digest()).update(auth).digest();
  const found = Buffer.from(Buffer.from(proof, 'base64').map((byte, index) => byte ^ mask[index]!));
  expect(found).toEqual(clientKey);
});

test('no nonce is given twice', () => {
  const nonces = new Set(Array.from({ length: 100 }, () => startScram('user').nonce));
  expect(nonces.size).toBe(100);
});
