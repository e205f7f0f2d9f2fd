// The version of this program, as its package has it.

import { readFileSync } from 'node:fs';

export function versionOf(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
