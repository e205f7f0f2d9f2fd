// Certificates for tests, made in this process: an authority, and what it signs, with any names and any dates. Just as
// much of X.509 (RFC 5280) in DER as that takes, with keys on P-256.
//
//   Certificate ::= SEQUENCE { tbs, algorithm, BIT STRING signature }
//   tbs ::= SEQUENCE { [0] version 2, serial, algorithm, issuer, validity, subject, public key, [3] extensions }

import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface Identity {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS#8. */
  readonly key: string;
}

export interface Authority extends Identity {
  issue(options: IssueOptions): Identity;
}

export interface IssueOptions {
  /** Common name of the subject. */
  subject: string;
  /** DNS names and IPv4 addresses. */
  names?: readonly string[];
  notBefore?: Date;
  notAfter?: Date;
}

const HOUR_MS = 3_600_000;
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = '550403';
const BASIC_CONSTRAINTS = '551d13';
const SUBJECT_ALTERNATIVE_NAME = '551d11';

/** An authority that signs itself. */
export function createAuthority(name = 'headwater test authority'): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension(BASIC_CONSTRAINTS, sequence(Buffer.from([1, 1, 0xff])));
  const own = certificate({ subject: name, issuer: name, publicKey, signer: privateKey, extensions: [isAuthority] });
  return {
    cert: own,
    key: pem(privateKey),
    issue(options) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = options.names ?? ['localhost', '127.0.0.1'];
      const extensions = [extension(SUBJECT_ALTERNATIVE_NAME, sequence(...names.map(generalName)))];
      const cert = certificate({
        ...options,
        issuer: name,
        publicKey: pair.publicKey,
        signer: privateKey,
        extensions,
      });
      return { cert, key: pem(pair.privateKey) };
    },
  };
}

interface Certificate {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Buffer[];
  notBefore?: Date;
  notAfter?: Date;
}

function certificate({ subject, issuer, publicKey, signer, extensions, notBefore, notAfter }: Certificate): string {
  const tbs = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    // The first byte is not 0 and not negative, as an INTEGER must begin.
    element(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(time(notBefore ?? new Date(Date.now() - HOUR_MS)), time(notAfter ?? new Date(Date.now() + 24 * HOUR_MS))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', tbs, signer);
  const der = sequence(tbs, ECDSA_SHA256, element(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Tag, length, content. */
function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...contents: Buffer[]): Buffer {
  return element(0x30, Buffer.concat(contents));
}

function oid(digits: string): Buffer {
  return element(0x06, Buffer.from(digits, 'hex'));
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(oid(COMMON_NAME), element(0x0c, Buffer.from(commonName)));
  return sequence(element(0x31, attribute));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), element(0x04, value));
}

/** dNSName [2] or iPAddress [7]. */
function generalName(name: string): Buffer {
  return isIPv4(name) ? element(0x87, Buffer.from(name.split('.').map(Number))) : element(0x82, Buffer.from(name));
}

/** GeneralizedTime: YYYYMMDDHHMMSSZ. */
function time(date: Date): Buffer {
  return element(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`));
}
