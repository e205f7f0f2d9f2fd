// Builds the driver of franz-go, which needs Go 1.26. Debian's Go is older: it fetches the newer one, which Go's makers
// publish as a module like any other.

import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, 'franz-go');
const PARTS = join(import.meta.dirname, '../../../.parts/go');
const TOOLCHAIN = 'golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64';

let building: Promise<string> | undefined;

/** Path of the driver. Throws with what is missing. */
export function buildFranzGo(): Promise<string> {
  building ??= build();
  return building;
}

async function build(): Promise<string> {
  const driver = join(PARTS, 'franz-go');
  await mkdir(PARTS, { recursive: true });
  try {
    await run(await findGo(), ['build', '-o', driver, '.'], { cwd: SOURCE });
  } catch (error) {
    throw new Error('the driver of franz-go can not be built: install golang-go', { cause: error });
  }
  return driver;
}

async function findGo(): Promise<string> {
  const { stdout } = await run('go', ['env', 'GOVERSION']);
  const [, minor] = /^go1\.(\d+)/.exec(stdout) ?? [];
  if (Number(minor) >= 26) return 'go';
  const { stdout: fetched } = await run('go', ['mod', 'download', '-json', TOOLCHAIN]);
  const { Dir } = JSON.parse(fetched) as { Dir: string };
  // A module's files are not executable.
  const tools = join(Dir, 'pkg/tool/linux_amd64');
  const programs = [join(Dir, 'bin/go'), ...(await readdir(tools)).map((name) => join(tools, name))];
  for (const program of programs) await chmod(program, 0o755);
  return programs[0]!;
}
