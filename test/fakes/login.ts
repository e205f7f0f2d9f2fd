// The broker's side of a login by SASL: PLAIN and SCRAM as RFC 4616 and 5802 have them, for one user, with a fault for
// each thing a client must notice.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { saslHandshake } from '../../src/formats/kafka/17-sasl-handshake.ts';
import type { saslAuthenticate } from '../../src/formats/kafka/36-sasl-authenticate.ts';
import type { Api, RequestOf, ResponseDraft } from '../../src/formats/kafka/schema.ts';

export interface FakeLogin {
  user: string;
  password: string;
  mechanisms: string[];
  iterations: number;
  /** What it answers for how long a login holds, ms. */
  lifetimeMs: number;
  /** `nonce`: it makes up one of its own. `signature`: it lets everybody in, and knows no password. */
  fault: 'none' | 'nonce' | 'signature';
  /** Logins that were let in. */
  count: number;
  isIn(socket: Socket): boolean;
  answer(socket: Socket, key: number, request: unknown): ResponseDraft<Api>;
}

interface Talk {
  mechanism: string;
  isIn: boolean;
  /** Of SCRAM, after the first message. */
  first?: { bare: string; challenge: string; joint: string; salt: Buffer };
}

type Authenticated = ResponseDraft<typeof saslAuthenticate>;

const REFUSED: Authenticated = {
  errorCode: 58,
  errorMessage: 'Authentication failed: Invalid username or password',
  authBytes: Buffer.alloc(0),
};
const BITS = new Map([
  ['SCRAM-SHA-256', { hash: 'sha256', bytes: 32 }],
  ['SCRAM-SHA-512', { hash: 'sha512', bytes: 64 }],
]);

export function fakeLogin(user: string, password: string): FakeLogin {
  const talks = new WeakMap<Socket, Talk>();

  function talkOf(socket: Socket): Talk {
    let talk = talks.get(socket);
    if (talk === undefined) talks.set(socket, (talk = { mechanism: '', isIn: false }));
    return talk;
  }

  function letIn(talk: Talk, final: string): Authenticated {
    talk.isIn = true;
    delete talk.first;
    login.count += 1;
    return { errorCode: 0, authBytes: Buffer.from(final), sessionLifetimeMs: login.lifetimeMs };
  }

  function authenticate(talk: Talk, message: string): Authenticated {
    if (talk.mechanism === 'PLAIN') {
      return message === `\0${login.user}\0${login.password}` ? letIn(talk, '') : REFUSED;
    }
    return talk.first === undefined ? challenge(talk, message) : judge(talk, talk.first, message);
  }

  function challenge(talk: Talk, message: string): Authenticated {
    const bare = message.slice('n,,'.length);
    const salt = randomBytes(16);
    const nonce = login.fault === 'nonce' ? 'made-up' : bare.slice(bare.indexOf(',r=') + 3);
    const joint = `${nonce}${randomBytes(9).toString('base64')}`;
    const text = `r=${joint},s=${salt.toString('base64')},i=${login.iterations}`;
    talk.first = { bare, challenge: text, joint, salt };
    return { errorCode: 0, authBytes: Buffer.from(text) };
  }

  function judge(talk: Talk, first: NonNullable<Talk['first']>, message: string): Authenticated {
    const { hash, bytes } = BITS.get(talk.mechanism)!;
    const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
    const salted = pbkdf2Sync(login.password, first.salt, login.iterations, bytes, hash);
    const [withoutProof = '', proof = ''] = message.split(',p=');
    const auth = `${first.bare},${first.challenge},${withoutProof}`;
    const storedKey = createHash(hash).update(hmac(salted, 'Client Key')).digest();
    const mask = hmac(storedKey, auth);
    const clientKey = Buffer.from(proof, 'base64').map((byte, index) => byte ^ mask[index]!);
    const isRight = createHash(hash).update(clientKey).digest().equals(storedKey);
    const isName = first.bare.startsWith(`n=${login.user},`) && withoutProof === `c=biws,r=${first.joint}`;
    if (login.fault === 'signature') return letIn(talk, `v=${randomBytes(bytes).toString('base64')}`);
    if (!isRight || !isName) return REFUSED;
    return letIn(talk, `v=${hmac(hmac(salted, 'Server Key'), auth).toString('base64')}`);
  }

  const login: FakeLogin = {
    user,
    password,
    mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    iterations: 4096,
    lifetimeMs: 0,
    fault: 'none',
    count: 0,
    isIn: (socket) => talkOf(socket).isIn,
    answer(socket, key, request) {
      const talk = talkOf(socket);
      if (key === saslHandshake.key) {
        talk.mechanism = (request as RequestOf<typeof saslHandshake>).mechanism;
        talk.isIn = false;
        return { errorCode: login.mechanisms.includes(talk.mechanism) ? 0 : 33, mechanisms: login.mechanisms };
      }
      return authenticate(talk, (request as RequestOf<typeof saslAuthenticate>).authBytes.toString('utf8'));
    },
  };
  return login;
}
