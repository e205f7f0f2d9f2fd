// The wear of the card: how much was written to it, by headwater and by everybody, and how long it will last at that pace.
// The ledger is one row of the tables, `wear/ledger`, of some 700 bytes. It is kept when headwater has written 256 MiB
// since, or after an hour in which it wrote at all, at the start and at the stop: each time some 24 kB with
// the journal, less than a hundredth of a percent of what is written, and 0.6 MB at most on a day with little to do.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { Tables } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import { deviceNumberOf, processWrittenBytes, readDevice, readText, type Device, type ReadText } from './kernel.ts';
import {
  decodeLedger,
  EMPTY_LEDGER,
  encodeLedger,
  FIRST_LOOK,
  recentOf,
  record,
  type Ledger,
  type Look,
} from './ledger.ts';
import { costOfCommits, perDay, yearsOf } from './projection.ts';

export interface WearStatus {
  /** What `commit.interval` may cost: its syncs alone, when somebody publishes all the time. */
  commit: { intervalMs: number; bytesPerDayMax: number; yearsMin: number };
  card: {
    profile: string;
    bytes: number;
    enduranceBytes: number;
    /** The disk's name, where it can be told. */
    device?: string;
    /** 0.1 to 1: what the device itself says is used up, at most. */
    lifeUsed?: number;
  };
  /** Since headwater came to this card. `deviceBytes` are everybody's, where the kernel tells them. */
  total: { seconds: number; processBytes: number; deviceBytes?: number; storedBytes: number; records: number };
  /** The last one to two days of running. */
  recent: {
    seconds: number;
    processBytesPerDay: number;
    deviceBytesPerDay?: number;
    /** Written by headwater for each byte of the batches, compressed as they are; undefined when there were none. */
    writtenPerStoredByte?: number;
  };
  /** At the recent pace of everybody, or of headwater where that is all that can be told; undefined in the first ten minutes. */
  yearsLeft?: number;
}

export interface Wear {
  status(): WearStatus;
  metrics(): Metric[];
  /** Keeps the ledger once more. */
  close(): Promise<void>;
}

export interface WearNeeds {
  tables: Tables;
  clock: Clock;
  trace: Trace;
  /** The data folder: its disk is looked at. */
  folder: string;
  /** What the log has taken since the process started. */
  appended: () => { bytes: number; records: number };
  commitIntervalMs: number;
  card: CardSettings;
  /** False for a folder whose node does not run: its ledger is told as it is, and its card may be in another machine. */
  isRunning?: boolean;
  /** For tests. */
  read?: ReadText;
}

export interface CardSettings {
  profile: string;
  /** How many times the whole card can be written, for want of `enduranceBytes`. */
  cycles: number;
  /** Undefined: the size of the disk. */
  bytes: number | undefined;
  enduranceBytes: number | undefined;
  /** What is taken for the size where the kernel does not tell that of the disk. */
  fallbackBytes: number;
}

const ROW = 'wear/ledger';
const LOOK_MS = 60_000;
const KEEP_BYTES = 256 * 2 ** 20;
const KEEP_SECONDS = 3600;
const CLOSE_MS_MAX = 2000;
/** What a start writes says nothing of the years to come. */
const MEASURED_SECONDS_MIN = 600;
/** In the place of for ever, which JSON has no word for. */
const YEARS_MAX = 1000;

/** Reads the ledger. One that can't be read begins anew, and says so. */
export async function openWear(needs: WearNeeds): Promise<Wear> {
  const { tables, clock, folder, card, isRunning = true, read = readText } = needs;
  const trace = needs.trace.room('wear');
  const startedMs = clock.monotonicMs();
  const device = deviceNumberOf(folder, read);
  let ledger: Ledger = await load();
  let last: Look = FIRST_LOOK;
  let kept: Look = last;

  async function load(): Promise<Ledger> {
    const row = await tables.get(ROW);
    if (row === undefined) return EMPTY_LEDGER;
    const found = decodeLedger(row);
    if (found === undefined) trace.warn('the wear ledger cannot be read, and begins anew');
    return found ?? EMPTY_LEDGER;
  }

  function look(): Device | undefined {
    if (!isRunning) return undefined;
    const found = device === undefined ? undefined : readDevice(device, read);
    const { bytes, records } = needs.appended();
    const next: Look = {
      seconds: (clock.monotonicMs() - startedMs) / 1000,
      processBytes: Math.max(last.processBytes, processWrittenBytes(read) ?? 0),
      storedBytes: bytes,
      records,
      ...(found === undefined ? {} : { device: found }),
    };
    ledger = record(ledger, last, next);
    last = next;
    return found;
  }

  function keepIfDue(): void {
    look();
    const bytes = last.processBytes - kept.processBytes;
    const isDue = bytes >= KEEP_BYTES || (last.seconds - kept.seconds >= KEEP_SECONDS && bytes > 0);
    if (isDue) keeping = keep();
  }

  async function keep(): Promise<void> {
    kept = last;
    try {
      await tables.write([[ROW, encodeLedger(ledger)]]);
    } catch (error) {
      // What is missing is counted again from the kernel's numbers, or is the part of one boot.
      trace.warn('the wear ledger was not kept', { reason: messageOf(error) });
    }
  }

  look();
  // What the disk's counter says at the start is what a start after a crash goes on from.
  let keeping: Promise<void> = isRunning ? keep() : Promise.resolve();
  const timer = clock.every(LOOK_MS, keepIfDue);

  function status(): WearStatus {
    const found = look();
    const bytes = card.bytes ?? ledger.device?.bytes ?? card.fallbackBytes;
    const enduranceBytes = card.enduranceBytes ?? bytes * card.cycles;
    const { bytesPerDay: bytesPerDayMax, years: yearsMin } = costOfCommits(needs.commitIntervalMs, enduranceBytes);
    const { seconds, processBytes, deviceBytes, storedBytes, records } = ledger.total;
    const recent = recentOf(ledger);
    const own = perDay(recent.processBytes, recent.seconds);
    const all = recent.deviceSeconds > 0 ? perDay(recent.deviceBytes, recent.deviceSeconds) : undefined;
    const used = Math.max(processBytes, deviceBytes);
    const yearsLeft = yearsOf(enduranceBytes - used, all ?? own);
    return {
      commit: { intervalMs: needs.commitIntervalMs, bytesPerDayMax, yearsMin },
      card: {
        profile: card.profile,
        bytes,
        enduranceBytes,
        ...(ledger.device !== undefined && { device: ledger.device.name }),
        ...(found?.lifeUsed !== undefined && { lifeUsed: found.lifeUsed }),
      },
      total: { seconds, processBytes, ...(ledger.device !== undefined && { deviceBytes }), storedBytes, records },
      recent: {
        seconds: recent.seconds,
        processBytesPerDay: own,
        ...(all !== undefined && { deviceBytesPerDay: all }),
        ...(recent.storedBytes > 0 && { writtenPerStoredByte: recent.processBytes / recent.storedBytes }),
      },
      ...(recent.seconds >= MEASURED_SECONDS_MIN && { yearsLeft: Math.min(YEARS_MAX, yearsLeft) }),
    };
  }

  return {
    status,
    metrics: () => metricsOf(status()),
    async close() {
      timer.cancel();
      if (!isRunning) return;
      look();
      // A card that refuses writes must not hold up the stop.
      await Promise.race([keeping.then(keep), clock.sleep(CLOSE_MS_MAX)]);
    },
  };
}

function metricsOf({ commit, card, total, recent, yearsLeft }: WearStatus): Metric[] {
  const paces = [
    { labels: { by: 'headwater' }, value: recent.processBytesPerDay },
    ...(recent.deviceBytesPerDay === undefined
      ? []
      : [{ labels: { by: 'everybody' }, value: recent.deviceBytesPerDay }]),
  ];
  return [
    counter('wear_written_bytes_total', 'Bytes written to the card since headwater came to it.', [
      { labels: { by: 'headwater' }, value: total.processBytes },
      ...(total.deviceBytes === undefined ? [] : [{ labels: { by: 'everybody' }, value: total.deviceBytes }]),
    ]),
    counter('wear_stored_bytes_total', 'Bytes of the batches that were stored meanwhile.', total.storedBytes),
    counter('wear_running_seconds_total', 'Time in which this was counted.', total.seconds),
    gauge('wear_written_bytes_per_day', 'Pace of the last one to two days.', yearsLeft === undefined ? [] : paces),
    gauge('wear_commit_bytes_per_day_max', 'What commit.interval may cost.', commit.bytesPerDayMax),
    gauge('wear_endurance_bytes', 'What the card can be written in its life.', card.enduranceBytes),
    gauge(
      'wear_card_years_left',
      'How long the card lasts at the recent pace.',
      yearsLeft === undefined ? [] : [{ value: yearsLeft }],
    ),
  ];
}
