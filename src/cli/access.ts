// What a command talks to: a running node, or with --data the folder of one that does not run.

import { explainConfig } from '../config.ts';
import { createTrace } from '../trace.ts';
import { bearer, daemonAt, openDaemon, type Daemon, type Whereabouts } from './daemon.ts';
import type { Terminal } from './terminal.ts';
import { versionOf } from './version.ts';

export interface AccessOptions extends Whereabouts {
  /** The data folder of a node that does not run. */
  data?: string;
}

export interface AccessNeeds {
  /** True for a command that changes what is in the folder. */
  isWritten: boolean;
}

/** Runs `act` with a node to talk to, and closes whatever was opened for it. */
export async function withAccess<T>(
  options: AccessOptions,
  terminal: Terminal,
  { isWritten }: AccessNeeds,
  act: (daemon: Daemon) => Promise<T>,
): Promise<T> {
  const { data } = options;
  if (data === undefined) {
    const daemon = openDaemon(options, terminal);
    return act(daemon).finally(() => daemon.close());
  }
  const { openClosedNode } = await import('../closed-node.ts');
  const { env, clock, err } = terminal;
  const file = options.config ?? env['HEADWATER_CONFIG'];
  const { config } = explainConfig({
    env: { ...env, HEADWATER_DATA__DIR: data },
    ...(file === undefined ? {} : { file }),
  });
  const trace = createTrace({ level: 'warn', clock, isJournal: false, write: (line) => void err.write(`${line}\n`) });
  const node = await openClosedNode({ config, version: versionOf(), clock, trace, isWritten });
  const daemon = daemonAt({ url: node.url, authorization: bearer(node.token) }, terminal.signal);
  try {
    return await act(daemon);
  } finally {
    daemon.close();
    await node.close();
  }
}
