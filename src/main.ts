#!/usr/bin/env node
// Process start: arguments in, exit code out. The only file with signals and process.exit.

const NODE_MAJOR_MIN = 24;
/** What is left of standard output may take so long to drain after a command has ended. */
const DRAIN_MS_MAX = 2000;

const major = Number(process.versions.node.split('.')[0]);
if (major < NODE_MAJOR_MIN) {
  process.stderr.write(`headwater: needs Node ${NODE_MAJOR_MIN} or later, this is ${process.version}\n`);
  process.exit(1);
}

// A report of Node on a crash would otherwise list the environment, and secrets may be in it.
process.report.excludeEnv = true;

// Loaded after the check, because an older Node would stop at their syntax without a word that helps.
const { holdProcess, systemClock } = await import('./clock.ts');
const { runCli } = await import('./cli/cli.ts');

const INTERRUPTED = 130;
const stop = new AbortController();

function onSignal(): void {
  if (stop.signal.aborted) process.exit(INTERRUPTED);
  stop.abort();
}

process.on('SIGTERM', onSignal);
process.on('SIGINT', onSignal);
// A reader such as `head` that has enough is not a failure. A node goes on without anybody who reads its lines.
const isService = process.argv[2] === 'serve';
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!isService) process.exit(error.code === 'EPIPE' ? 0 : 1);
});
process.stderr.on('error', () => undefined);

// A node without open doors, and a command that waits, have nothing else to keep them until they have ended.
const hold = holdProcess();
const exitCode = await runCli(process.argv.slice(2), {
  in: process.stdin,
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  clock: systemClock,
  signal: stop.signal,
});

hold.cancel();
process.exitCode = exitCode;
// Whatever still holds the process must not keep it: a service that has stopped has to end.
systemClock.after(DRAIN_MS_MAX, () => process.exit(exitCode));
if (process.stdout.writableLength === 0) process.exit(exitCode);
process.stdout.once('drain', () => process.exit(exitCode));
