// Diagnostics: one line an event on standard output, `level room message key=value ...`. Under systemd the journal
// adds the time and reads the level from the `<n>` prefix (sd-daemon(3)); elsewhere the line begins with the time.
// Secrets are never handed to a trace. Lines that a remote can cause at will go through `limited`.

import { systemClock, type Clock } from './clock.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Fields = Record<string, string | number | boolean | undefined>;

export interface Trace {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A warning that a remote can provoke: at most ten lines a minute of each message, then one that counts the rest. */
  limited(message: string, fields?: Fields): void;
  /** The same trace for another room. */
  room(name: string): Trace;
}

export interface TraceOptions {
  level?: Level;
  write?: (line: string) => void;
  clock?: Clock;
  /** True when standard output is the journal: prefix `<n>` instead of a time. */
  isJournal?: boolean;
}

const RANK: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const SYSLOG: Record<Level, number> = { debug: 7, info: 6, warn: 4, error: 3 };
const LIMIT_LINES = 10;
const LIMIT_WINDOW_MS = 60_000;

interface Window {
  startMs: number;
  count: number;
}

export function createTrace(options: TraceOptions = {}): Trace {
  const clock = options.clock ?? systemClock;
  const write = options.write ?? ((line: string) => void process.stdout.write(line + '\n'));
  const lowest = RANK[options.level ?? 'info'];
  const isJournal = options.isJournal ?? process.env['JOURNAL_STREAM'] !== undefined;
  const windows = new Map<string, Window>();

  function emit(level: Level, room: string, message: string, fields?: Fields): void {
    if (RANK[level] < lowest) return;
    const head = isJournal ? `<${SYSLOG[level]}>` : `${new Date(clock.wallMs()).toISOString()} `;
    write(`${head}${level} ${room} ${message}${render(fields)}`);
  }

  function limited(room: string, message: string, fields?: Fields): void {
    const now = clock.monotonicMs();
    const key = `${room} ${message}`;
    let window = windows.get(key);
    if (window === undefined || now - window.startMs > LIMIT_WINDOW_MS) {
      if (window !== undefined && window.count > LIMIT_LINES) {
        emit('warn', room, message, { more: window.count - LIMIT_LINES, withinMs: LIMIT_WINDOW_MS });
      }
      window = { startMs: now, count: 0 };
      windows.set(key, window);
    }
    window.count += 1;
    if (window.count <= LIMIT_LINES) emit('warn', room, message, fields);
  }

  function of(room: string): Trace {
    return {
      debug: (message, fields) => emit('debug', room, message, fields),
      info: (message, fields) => emit('info', room, message, fields),
      warn: (message, fields) => emit('warn', room, message, fields),
      error: (message, fields) => emit('error', room, message, fields),
      limited: (message, fields) => limited(room, message, fields),
      room: of,
    };
  }

  return of('headwater');
}

function render(fields: Fields | undefined): string {
  if (fields === undefined) return '';
  let text = '';
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const plain = String(value);
    // Quoted where needed, so that a name with a line break or an escape sequence stays one harmless line.
    text += ` ${key}=${/^[\w.:/@+-]+$/.test(plain) ? plain : JSON.stringify(plain)}`;
  }
  return text;
}
