// SCRAM, the client's side (RFC 5802, with SHA-256 as RFC 7677): the password does not cross the wire, and the server
// proves that it knows it, too. Pure but for the derived key, which is computed beside the event loop.
//
//   C  n,,n=USER,r=NONCE
//   S  r=NONCE+MORE,s=SALT,i=ITERATIONS              salt, proof and signature in base 64
//   C  c=biws,r=NONCE+MORE,p=PROOF                   biws is "n,,": no channel binding
//   S  v=SIGNATURE                                   or e=REASON
//
//   salted = PBKDF2(password, SALT, ITERATIONS)      client key = HMAC(salted, "Client Key")
//   auth   = the messages between the commas' bars   n=USER,r=NONCE "," S's first "," C's second without its proof
//   PROOF  = client key XOR HMAC(H(client key), auth)
//   SIGNATURE = HMAC(HMAC(salted, "Server Key"), auth)
//
// Names and passwords are taken as they are, in UTF-8 and without SASLprep, because that is what Kafka does.

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** Fewer make the password guessable from one login that was listened to. Kafka stores no fewer. */
const ITERATIONS_MIN = 4096;
/** More would let a server that is none occupy this node: this many take a PC 40 ms of another thread. Kafka stores at most 16,384. */
const ITERATIONS_MAX = 100_000;
const MESSAGE_LENGTH_MAX = 4096;
const NONCE_BYTES = 24;

export interface ScramStart {
  /** To be sent first. */
  message: string;
  nonce: string;
  bare: string;
}

export interface ScramProof {
  /** To be sent second. */
  message: string;
  /** Throws ScramFault unless the server's last message proves that it knows the password. */
  verify(serverFinal: string): void;
}

/** Why a server is not to be trusted, as a sentence about it. */
export class ScramFault extends Error {}

export function startScram(username: string, nonce = randomBytes(NONCE_BYTES).toString('base64')): ScramStart {
  const bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  return { message: `n,,${bare}`, nonce, bare };
}

/**
 * The answer to the server's first message. `hash` is `sha256` or `sha512`. Throws ScramFault when that message is none, or
 * asks for too little or too much.
 */
export async function proveScram(
  hash: string,
  { bare, nonce }: ScramStart,
  serverFirst: string,
  password: string,
): Promise<ScramProof> {
  const { salt, iterations, joint } = readServerFirst(serverFirst, nonce);
  const digestBytes = createHash(hash).digest().length;
  const salted = await derive(password, salt, iterations, digestBytes, hash);
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${joint}`;
  const auth = `${bare},${serverFirst},${withoutProof}`;
  const mask = hmac(createHash(hash).update(clientKey).digest(), auth);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ mask[index]!));
  const signature = hmac(hmac(salted, 'Server Key'), auth);
  return {
    message: `${withoutProof},p=${proof.toString('base64')}`,
    verify: (serverFinal) => verifySignature(serverFinal, signature),
  };
}

function readServerFirst(message: string, nonce: string): { salt: Buffer; iterations: number; joint: string } {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,.*)?$/.exec(message);
  if (match === null || message.length > MESSAGE_LENGTH_MAX) throw new ScramFault('its SCRAM challenge cannot be read');
  const [, joint = '', salt = '', count] = match;
  if (!joint.startsWith(nonce) || joint.length === nonce.length) {
    throw new ScramFault('its SCRAM challenge does not go on from our nonce: somebody may be in between');
  }
  const iterations = Number(count);
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
    throw new ScramFault(
      `it asks for ${iterations} SCRAM iterations, and ${ITERATIONS_MIN} to ${ITERATIONS_MAX} are done`,
    );
  }
  return { salt: Buffer.from(salt, 'base64'), iterations, joint };
}

function verifySignature(serverFinal: string, expected: Buffer): void {
  const match = /^v=([A-Za-z0-9+/]+={0,2})(?:,.*)?$/.exec(serverFinal);
  const given = Buffer.from(match?.[1] ?? '', 'base64');
  if (given.length === expected.length && timingSafeEqual(given, expected)) return;
  throw new ScramFault('it does not prove that it knows the password: somebody may be in between');
}
