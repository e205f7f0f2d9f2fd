// The tables: one LevelDB of small rows beside the segments. Every write is synced; all that wait share one. A write
// that fails is repeated after LevelDB was closed and opened again (it "succeeds" falsely otherwise), until it is there.

import type { Clock } from '../clock.ts';
import { HeadwaterError, messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import type { DiskRoom } from './disk-room.ts';
import { bytesOf, isDiskFull, openLevel, syncFolder, type Level, type LevelOperation } from './level.ts';
import type { Change, Tables } from './contract.ts';

const WRITE_BUFFER_BYTES = 1024 * 1024;
const RETRY_MS = 1000;
/** On a full disk the tables are opened again when there is room for this. */
const ROOM_FOR_OPENING = 3 * WRITE_BUFFER_BYTES;

export interface TablesRoom extends Tables {
  /** Why writes do not get through at present. */
  failure(): string | undefined;
  /** From here on a write that fails is not repeated: it rejects, and so do all after it. */
  giveUp(): void;
  close(): Promise<void>;
}

interface Waiting {
  changes: Change[];
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Opens the tables, made when missing. Throws what LevelDB throws. */
export async function openTables(folder: string, room: DiskRoom, clock: Clock, trace: Trace): Promise<TablesRoom> {
  const options = { createIfMissing: true, writeBufferBytes: WRITE_BUFFER_BYTES };
  let level: Level = await openLevel(folder, options);
  await syncFolder(folder);

  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  let failure: string | undefined;
  const closing = new AbortController();

  async function commitAll(): Promise<void> {
    while (waiting.length > 0) {
      const taken = waiting;
      waiting = [];
      const operations = taken.flatMap((each) => each.changes.map(operationOf));
      try {
        await writeUntilThere(operations);
        for (const each of taken) each.resolve();
      } catch (error) {
        for (const each of taken) each.reject(error as Error);
      }
    }
    running = undefined;
  }

  async function writeUntilThere(operations: LevelOperation[]): Promise<void> {
    for (;;) {
      if (closing.signal.aborted && failure !== undefined) throw unwritable(failure);
      try {
        await level.batch(operations, { sync: true });
        room.note(bytesOf(operations));
        failure = undefined;
        return;
      } catch (error) {
        failure = isDiskFull(error) ? 'the disk is full' : messageOf(error);
        trace.limited('a write to the tables failed, opening them again', { reason: failure });
        if (isDiskFull(error)) await room.whenRoom(ROOM_FOR_OPENING, closing.signal);
        if (!closing.signal.aborted) await reopen();
      }
    }
  }

  async function reopen(): Promise<void> {
    await level.close().catch(() => undefined);
    while (!closing.signal.aborted) {
      try {
        level = await openLevel(folder, options);
        return;
      } catch (error) {
        failure = messageOf(error);
        await clock.sleep(RETRY_MS, closing.signal);
      }
    }
  }

  return {
    get: (key) => level.get(Buffer.from(key, 'utf8')),
    async *entries(prefix, from = prefix) {
      const range = { gte: Buffer.from(from, 'utf8'), lt: endOf(Buffer.from(prefix, 'utf8')) };
      for await (const [key, value] of level.iterator(range)) yield [key.toString('utf8'), value];
    },
    write(changes) {
      if (changes.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => {
        waiting.push({ changes, resolve, reject });
        running ??= commitAll();
      });
    },
    failure: () => failure,
    giveUp: () => closing.abort(),
    async close() {
      closing.abort();
      await running;
      await level.close();
    },
  };
}

function unwritable(why: string): HeadwaterError {
  return new HeadwaterError('STORE_UNAVAILABLE', `the tables can't be written: ${why}`);
}

function operationOf([name, value]: Change): LevelOperation {
  const key = Buffer.from(name, 'utf8');
  return value === null ? { type: 'del', key } : { type: 'put', key, value };
}

/** First key after all that start with `prefix`. UTF-8 never holds the byte ff. */
function endOf(prefix: Buffer): Buffer {
  return Buffer.concat([prefix, Buffer.from([0xff])]);
}
