// Secrets by reference: the configuration says where a password or a key lies, and it is read at the moment it is needed,
// so that a file that is replaced counts without a new start. What is read is handed to whoever logs in with it and to
// nobody else: errors, traces and status name the reference.

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { HeadwaterError, messageOf } from './errors.ts';

export type SecretKind = 'file' | 'env' | 'credential';
export type SecretEnvironment = Readonly<Record<string, string | undefined>>;

/** A password or a key, as the configuration refers to it. */
export class Secret {
  readonly kind: SecretKind;
  /** A path, the name of a variable, or the name of a credential. */
  readonly name: string;

  constructor(kind: SecretKind, name: string) {
    this.kind = kind;
    this.name = name;
  }

  /** `{file: /etc/headwater/password}` */
  toString(): string {
    return `{${this.kind}: ${this.name}}`;
  }
}

/** A key has some KiB. */
export const SECRET_BYTES_MAX = 64 * 1024;
/** Debian's file of all authorities has a quarter of this. */
const FILE_BYTES_MAX = 1024 * 1024;
const OTHERS_READ = 0o004;

/**
 * The secret itself, without the newline at its end. Throws CONFIG_INVALID, which names the reference and never what it
 * holds, when there is none, when it is empty, too long or no UTF-8 text.
 */
export function readSecret(secret: Secret, env: SecretEnvironment): string {
  try {
    return textOf(
      secret.kind === 'env' ? variable(secret.name, env) : readText(pathOf(secret, env), SECRET_BYTES_MAX).text,
    );
  } catch (cause) {
    throw new HeadwaterError('CONFIG_INVALID', `the secret ${secret.toString()} ${reasonOf(cause)}`);
  }
}

/** True when a file that holds the secret can be read by every user of this machine. False where there is no such file. */
export function isReadableByAll(secret: Secret, env: SecretEnvironment): boolean {
  if (secret.kind === 'env') return false;
  try {
    return (readText(pathOf(secret, env), SECRET_BYTES_MAX).stats.mode & OTHERS_READ) !== 0;
  } catch {
    // Whoever reads it is told.
    return false;
  }
}

/** A small file of text, such as a certificate. Throws CONFIG_INVALID in words that go on after the file's name. */
export function readSmallFile(path: string): string {
  try {
    return readText(path, FILE_BYTES_MAX).text;
  } catch (cause) {
    throw new HeadwaterError('CONFIG_INVALID', reasonOf(cause));
  }
}

/** Every secret that a configuration refers to, with its place in it. */
export function secretsIn(value: unknown, path: readonly (string | number)[] = []): SecretPlace[] {
  if (value instanceof Secret) return [{ path, secret: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    return secretsIn(inner, [...path, Array.isArray(value) ? Number(key) : key]);
  });
}

export interface SecretPlace {
  path: readonly (string | number)[];
  secret: Secret;
}

/** Why something cannot be read, as the end of a sentence. The cause is not kept: its text may hold more than names. */
class Unread extends Error {}

function reasonOf(cause: unknown): string {
  return cause instanceof Unread ? cause.message : `cannot be read: ${messageOf(cause)}`;
}

function pathOf(secret: Secret, env: SecretEnvironment): string {
  if (secret.kind === 'file') return secret.name;
  const folder = env['CREDENTIALS_DIRECTORY'];
  if (folder !== undefined && folder !== '') return join(folder, secret.name);
  throw new Unread(
    'needs systemd, which sets CREDENTIALS_DIRECTORY for a service with ' +
      `LoadCredential=${secret.name}:PATH in its unit; without systemd use {file: PATH}`,
  );
}

function variable(name: string, env: SecretEnvironment): string {
  const text = env[name];
  if (text === undefined) throw new Unread('is not there: the environment has no such variable');
  if (Buffer.byteLength(text) > SECRET_BYTES_MAX) throw new Unread(`has more than ${SECRET_BYTES_MAX} bytes`);
  return text;
}

function textOf(read: string): string {
  const text = read.replace(/\r?\n$/, '');
  if (text === '') throw new Unread('is empty');
  if (text.includes('\0')) throw new Unread('holds a NUL');
  return text;
}

function readText(path: string, bytesMax: number): { text: string; stats: Stats } {
  // Without NONBLOCK, opening a pipe would wait for somebody to write.
  const file = openFile(path);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Unread('is no file');
    const bytes = Buffer.alloc(Math.min(stats.size, bytesMax) + 1);
    const length = readSync(file, bytes, 0, bytes.length, 0);
    if (length > bytesMax) throw new Unread(`has more than ${bytesMax} bytes`);
    return { text: decode(bytes.subarray(0, length)), stats };
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new Unread(`is not there: there is no file ${path}`);
    if (code === 'EACCES') throw new Unread(`cannot be read: this user may not read ${path}`);
    throw new Unread(`cannot be read: ${code ?? 'unknown'} at ${path}`);
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's own error says no more.
    throw new Unread('is no UTF-8 text');
  }
}
