// A connection to a broker over TLS, verified always. The files are read for each attempt, so that certificates that were
// renewed count without a new start.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, getCACertificates, type TLSSocket } from 'node:tls';
import { HeadwaterError, messageOf } from '../errors.ts';
import { readSmallFile } from '../secret.ts';
import type { Connect } from './connection.ts';

export interface TlsConfig {
  /** A file of certificates in PEM: the authorities that may have signed the brokers'. Default: those of the system. */
  ca?: string;
  /** A file with this node's certificate and its chain in PEM, for brokers that want one. */
  cert?: string;
  /** Reads the certificate's key, in PEM and not encrypted. Throws CONFIG_INVALID, which names where it should be. */
  key?: () => string;
  /** The name, or the address, in the brokers' certificates. Default: the host that is connected to. */
  serverName?: string;
}

type Field = 'ca' | 'cert' | 'key';

/** What is read of the files. */
interface Material {
  ca: string | string[];
  cert?: string;
  key?: string;
}

export function createTlsConnect(config: TlsConfig): Connect {
  return (target, signal) => {
    const material = readMaterial(config);
    const name = config.serverName ?? target.host;
    return new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({
        host: target.host,
        port: target.port,
        // An address is no name to ask for (RFC 6066); it is compared with those in the certificate.
        servername: isIP(name) === 0 ? name : '',
        checkServerIdentity: (_host, cert) => checkServerIdentity(name, cert),
        // Said, because otherwise a variable of the environment could switch it off.
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2',
        ...material,
      });
      // The error goes to the listener, as that of a failed connection does.
      const stop = (): void => void socket.destroy(new Error('gave up'));
      socket.once('secureConnect', () => {
        signal.removeEventListener('abort', stop);
        // The listener for errors stays: one that comes before the connection listens must not end the process.
        resolve(socket);
      });
      socket.once('error', (error) => {
        signal.removeEventListener('abort', stop);
        reject(error);
      });
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  };
}

/** What is wrong with the files, by the setting that names them. */
export function mistakesInTls(config: TlsConfig): { field: Field; message: string }[] {
  const found: { field: Field; message: string }[] = [];
  const judge = <T>(field: Field, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      found.push({ field, message: messageOf(error) });
      return undefined;
    }
  };
  const { ca, cert, key } = config;
  if (ca !== undefined) judge('ca', () => certificateIn(readNamed(ca)));
  const own = cert === undefined ? undefined : judge('cert', () => certificateIn(readNamed(cert)));
  const ownKey = key === undefined ? undefined : judge('key', () => keyIn(key()));
  if (own !== undefined && ownKey !== undefined && !own.checkPrivateKey(ownKey)) {
    found.push({ field: 'key', message: 'does not belong to the certificate of cert' });
  }
  return found;
}

function readMaterial({ ca, cert, key }: TlsConfig): Material {
  const material: Material = { ca: ca === undefined ? authoritiesOfSystem() : readNamed(ca) };
  if (cert !== undefined) material.cert = readNamed(cert);
  if (key !== undefined) material.key = key();
  return material;
}

/** Those of the system, where it has any, so that a site's own authority counts as soon as it is installed there. */
function authoritiesOfSystem(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? system : getCACertificates('default');
}

function readNamed(path: string): string {
  try {
    return readSmallFile(path);
  } catch (error) {
    throw new HeadwaterError('CONFIG_INVALID', `${path} ${messageOf(error)}`);
  }
}

function certificateIn(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    // OpenSSL's words say no more to whoever gave the file.
    throw new HeadwaterError('CONFIG_INVALID', 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)');
  }
}

function keyIn(text: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const isLocked = text.includes('ENCRYPTED') || (error as { code?: string }).code === 'ERR_MISSING_PASSPHRASE';
    const what = isLocked ? 'is encrypted: it must be there without a passphrase' : 'holds no private key in PEM';
    throw new HeadwaterError('CONFIG_INVALID', what);
  }
}
