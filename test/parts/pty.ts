// A serial line without hardware: a pseudo terminal whose one end is a path like a device's, and whose other end is held
// here. Node cannot make one by itself, so a small program does: script(1) of util-linux, which every Debian has, or
// python3, or socat. Unplugging kills it, so that the kernel hangs up as it does when a USB plug is pulled, and removes
// the path, as udev does.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { access, constants, mkdtemp, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export type PtyTool = 'script' | 'python3' | 'socat';

export interface Pty {
  /** The end that is opened as a serial port: a link that stays the same when the device is plugged in again. */
  readonly path: string;
  readonly tool: PtyTool;
  /** Sends as the device. On return the bytes are on their way; it waits while nobody reads the port for long. */
  write(bytes: Buffer | string): Promise<void>;
  /** Calls `listener` with what was written into the port. */
  onData(listener: (bytes: Buffer) => void): void;
  /** The path and what was on its way are gone on return. */
  unplug(): Promise<void>;
  replug(): Promise<void>;
  /** Unplugs for good. */
  close(): Promise<void>;
}

/** What makes the terminal and tells its path by writing it to `file`, or by linking it there. */
const COMMANDS: Record<PtyTool, (file: string) => string[]> = {
  script: (file) => ['-qfc', `stty raw -echo; tty > '${file}'; exec sleep 2147483647`, '/dev/null'],
  python3: (file) => ['-c', PYTHON, file],
  socat: (file) => [`pty,raw,echo=0,link=${file},ignoreeof`, 'stdio'],
};

const PYTHON = `
import os, pty, sys, threading, tty
master, slave = pty.openpty()
tty.setraw(slave)
with open(sys.argv[1], 'w') as file: file.write(os.ttyname(slave) + chr(10))
def copy(source, sink):
    while True:
        data = os.read(source, 65536)
        if not data: os._exit(0)
        while data: data = data[os.write(sink, data):]
threading.Thread(target=copy, args=(master, 1), daemon=True).start()
copy(0, master)
`;

const START_MS = 5000;

// A test that ends in the middle of things leaves no program behind.
const running = new Set<ChildProcess>();
const folders = new Set<string>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The first tool of `tools` that is installed; undefined if none is. */
export async function findPtyTool(
  tools: readonly PtyTool[] = ['script', 'python3', 'socat'],
): Promise<PtyTool | undefined> {
  for (const tool of tools) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      if (await exists(join(folder, tool), constants.X_OK)) return tool;
    }
  }
  return undefined;
}

/** A plugged-in line. Throws when no tool can make one, saying what to install. */
export async function openPty(tools?: readonly PtyTool[]): Promise<Pty> {
  const tool = await findPtyTool(tools);
  if (tool === undefined) throw new Error('no pseudo terminal: install util-linux, python3 or socat');
  const found = tool;
  const folder = await mkdtemp(join(tmpdir(), 'headwater-pty-'));
  folders.add(folder);
  const path = join(folder, 'tty');
  const listeners = new Set<(bytes: Buffer) => void>();
  let child: ChildProcess | undefined;

  async function replug(): Promise<void> {
    if (child !== undefined) return;
    const file = join(folder, 'made');
    await rm(file, { force: true });
    const started = spawn(found, COMMANDS[found](file), {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, SHELL: '/bin/sh' },
    });
    child = started;
    running.add(started);
    // Writing to a line that was just unplugged is no error of the device.
    started.stdin.on('error', () => undefined);
    started.stdout.on('data', (bytes: Buffer) => {
      for (const listener of listeners) listener(bytes);
    });
    await symlink(await terminalOf(found, file, started), path);
  }

  async function unplug(): Promise<void> {
    const stopped = child;
    child = undefined;
    await rm(path, { force: true });
    if (stopped === undefined || stopped.exitCode !== null || stopped.signalCode !== null) return;
    const exited = once(stopped, 'exit');
    stopped.kill('SIGKILL');
    await exited;
    running.delete(stopped);
  }

  async function write(bytes: Buffer | string): Promise<void> {
    const stdin = child?.stdin;
    if (stdin === undefined || stdin === null) return;
    await new Promise<void>((resolve) => void stdin.write(bytes, () => resolve()));
  }

  async function close(): Promise<void> {
    await unplug();
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  }

  try {
    await replug();
  } catch (error) {
    await close();
    throw error;
  }
  return { path, tool, write, onData: (listener) => void listeners.add(listener), unplug, replug, close };
}

async function terminalOf(tool: PtyTool, file: string, child: ChildProcess): Promise<string> {
  for (const startMs = Date.now(); Date.now() - startMs < START_MS;) {
    if (child.exitCode !== null) break;
    const text = tool === 'socat' ? await readlink(file).catch(() => '') : await readFile(file, 'utf8').catch(() => '');
    if (text !== '' && (tool === 'socat' || text.endsWith('\n'))) return text.trim();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${tool} made no pseudo terminal within ${START_MS} ms`);
}

async function exists(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
