// The doctor: gathers the facts of a node, or of a closed folder, and examines them. It runs when somebody asks.

import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { formatAddress, type Config } from '../config.ts';
import { isLoopback } from '../config-units.ts';
import { isReadableByAll, secretsIn, type SecretEnvironment } from '../secret.ts';
import { examine, type Check, type Facts } from './checks.ts';

export type { Check, Severity } from './checks.ts';

export interface DoctorNeeds {
  config: Config;
  status: () => Facts['status'];
  env: SecretEnvironment;
  isRunning: boolean;
}

const OTHERS = 0o007;
/** The settings by which a door asks its clients who they are. */
const ASKED_BY = { mqtt: 'mqtt.users', kafka: undefined, http: 'http.token' } as const;

/** Never rejects for what it may find. */
export async function examineNode({ config, status, env, isRunning }: DoctorNeeds): Promise<Check[]> {
  const { dir } = config.data;
  const disk = await statfs(dir).catch(() => undefined);
  const secrets = isRunning ? secretsIn(config).filter(({ secret }) => isReadableByAll(secret, env)) : [];
  return examine({
    status: status(),
    ...(disk !== undefined && { disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize } }),
    folder: await folderFacts(dir),
    openSecrets: secrets.map(({ secret }) => secret.toString()),
    openDoors: isRunning ? openDoorsOf(config) : [],
    isRunning,
  });
}

async function folderFacts(path: string): Promise<Facts['folder']> {
  const isWritable = await access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
  const mode = await stat(path).then(
    (stats) => stats.mode,
    () => 0,
  );
  return { path, isWritable, isReadableByAll: (mode & OTHERS) !== 0 };
}

function openDoorsOf(config: Config): Facts['openDoors'] {
  const asks = { mqtt: config.mqtt.users.length > 0, kafka: false, http: config.http.token !== undefined };
  const found = [];
  for (const name of ['mqtt', 'kafka', 'http'] as const) {
    const { listen } = config[name];
    if (listen === undefined || isLoopback(listen.host) || asks[name]) continue;
    found.push({ name, listen: formatAddress(listen), asksBy: ASKED_BY[name] });
  }
  return found;
}
