// The boots whose time was not known when records came in: what their own time was counted from, and, once it is known,
// by how much that was wrong. A boot is a mark, and goes to the card no later than the first batch that names it:
//
//   clock/boot/<number, 8 hex>  ->  JSON BootTime
//
// Stamps of a boot are `baseMs` plus its monotonic time, so that processes of the same boot agree. Of a boot that ended
// before the time was known nobody ever knows more than that it came before the next one.

export interface BootTime {
  number: number;
  /** The kernel's name for it. */
  bootId: string;
  /** What its own time says at its beginning. */
  baseMs: number;
  /** To be added to its stamps; undefined: not known. */
  shiftMs?: number;
  /** It ended before its time was known, and before this moment. */
  endedMs?: number;
}

export interface Marks {
  /** Sets or removes (null) a mark in the commit that is being gathered. */
  set(key: string, value: Buffer | null): void;
  entries(prefix: string): Iterable<[key: string, value: Buffer]>;
}

export interface Boots {
  all(): readonly BootTime[];
  find(bootId: string): BootTime | undefined;
  /** A new one, whose row joins the commit that is being gathered. */
  add(bootId: string, baseMs: number): BootTime;
  /** Its time is known. */
  resolve(boot: BootTime, shiftMs: number): void;
  /** What is not resolved and is not this boot ended before `ms`. */
  endBefore(ms: number, present: BootTime | undefined): void;
  shiftOf(number: number): number | undefined;
  /** The latest moment that a stamp of a boot can mean: where its time is not known, the end of that boot at the latest. */
  latestOf(number: number, stampMs: number): number | undefined;
}

const PREFIX = 'clock/boot/';
/** Rows kept. Older boots are forgotten: their records say again what they were stamped with. */
const BOOTS_MAX = 256;

export function loadBoots(marks: Marks): Boots {
  const boots: BootTime[] = [];
  for (const [, value] of marks.entries(PREFIX)) boots.push(JSON.parse(value.toString('utf8')) as BootTime);
  boots.sort((a, b) => a.number - b.number);
  const byNumber = new Map(boots.map((boot) => [boot.number, boot]));

  function write(boot: BootTime): void {
    marks.set(keyOf(boot.number), Buffer.from(JSON.stringify(boot)));
  }

  function forgetOldest(): void {
    while (boots.length > BOOTS_MAX) {
      const { number } = boots.shift()!;
      byNumber.delete(number);
      marks.set(keyOf(number), null);
    }
  }

  return {
    all: () => boots,
    find: (bootId) => boots.findLast((boot) => boot.bootId === bootId),
    add(bootId, baseMs) {
      const boot = { number: (boots.at(-1)?.number ?? 0) + 1, bootId, baseMs };
      boots.push(boot);
      byNumber.set(boot.number, boot);
      write(boot);
      forgetOldest();
      return boot;
    },
    resolve(boot, shiftMs) {
      boot.shiftMs = shiftMs;
      write(boot);
    },
    endBefore(ms, present) {
      for (const boot of boots) {
        if (boot === present || boot.shiftMs !== undefined || boot.endedMs !== undefined) continue;
        boot.endedMs = ms;
        write(boot);
      }
    },
    shiftOf: (number) => byNumber.get(number)?.shiftMs,
    latestOf(number, stampMs) {
      const boot = byNumber.get(number);
      if (boot?.shiftMs !== undefined) return stampMs + boot.shiftMs;
      if (boot?.endedMs !== undefined) return boot.endedMs;
      // Forgotten, or known at the next start: it ended before any later one began.
      const later = boots.find((each) => each.number > number && each.shiftMs !== undefined);
      return later === undefined ? undefined : later.baseMs + later.shiftMs!;
    },
  };
}

function keyOf(number: number): string {
  return `${PREFIX}${number.toString(16).padStart(8, '0')}`;
}
