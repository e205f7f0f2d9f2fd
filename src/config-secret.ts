// Settings that refer to a secret, and those that have one: a secret never stands in the configuration itself, and no
// error repeats what stands where a reference should be, because it may be the secret.

import { byDefault, flag, group, leafOf, list, oneOf, optional, required, scalar, text } from './config-setting.ts';
import type { Parsed } from './config-units.ts';
import { Secret, type SecretKind } from './secret.ts';

const FORM = 'secret, by reference';

const KINDS: Record<SecretKind, { pattern: RegExp; what: string }> = {
  file: { pattern: /^[^\0]{1,4096}$/, what: 'the path of a file' },
  env: { pattern: /^[A-Za-z_]\w{0,254}$/, what: 'the name of a variable: letters, digits, underscores' },
  credential: {
    pattern: /^[A-Za-z0-9_][\w.-]{0,254}$/,
    what: 'the name of a systemd credential: letters, digits, dots, underscores, hyphens',
  },
};

const INSTEAD =
  'must not stand here itself: write where it is, {file: PATH}, {credential: NAME} (LoadCredential= of systemd), or ' +
  '{env: NAME}';

function parseSecret(input: unknown): Parsed<Secret> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return { refused: INSTEAD };
  const entries = Object.entries(input);
  const [kind = '', name] = entries[0] ?? [];
  if (entries.length !== 1 || !Object.hasOwn(KINDS, kind)) {
    return { refused: 'must be exactly one of {file: PATH}, {credential: NAME}, {env: NAME}' };
  }
  const { pattern, what } = KINDS[kind as SecretKind];
  if (typeof name !== 'string' || !pattern.test(name)) return { refused: `must have, as ${kind}, ${what}` };
  return new Secret(kind as SecretKind, name);
}

const secret = leafOf(scalar(FORM, parseSecret), Object.keys(KINDS));

const path = text('path of a file', 4096);

export const tls = group({
  ca: optional(
    path,
    'those that the system trusts',
    "The certificates, in PEM, of the authorities that may have signed the brokers'. Those of the system take 12 MB of memory.",
    '/etc/headwater/ca.pem',
  ),
  cert: optional(
    path,
    'none',
    "This node's own certificate in PEM, for brokers that want one.",
    '/etc/headwater/pump-7.pem',
  ),
  key: optional(secret, 'none', 'The key of `cert`, in PEM and not encrypted.', { credential: 'pump-7.key' }),
  serverName: optional(
    text('host name', 253),
    'the host that is connected to',
    "The name that the brokers' certificates bear, where it is another.",
    'kafka.dc.example',
  ),
});

export const sasl = group({
  mechanism: required(
    oneOf(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
    'With SCRAM the password does not cross the wire, and the broker proves that it knows it.',
    'SCRAM-SHA-512',
  ),
  username: required(text('1 to 256 characters', 256), 'Who logs in.', 'pump-7'),
  password: required(secret, 'Its password. Read at each login.', { credential: 'kafka-password' }),
  insecure: byDefault(flag, false, 'Allows PLAIN without TLS, which shows the password to everybody on the way.'),
});

export const users = list(
  group({
    name: required(text('1 to 256 characters', 256), 'The user name of CONNECT.', 'sensors'),
    password: required(secret, 'Its password.', { credential: 'sensors' }),
  }),
);

export const token = secret;
