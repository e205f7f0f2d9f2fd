// What a bad cable does to bytes, made from a seed: the faults depend on the bytes' count alone, neither on time nor on
// how reading cuts them, so that one seed spoils one stream always in the same way.
//
//   bytes --- good for a while --- fault --- good for a while --- fault --->

/** How often each kind of fault comes, relative to the others. */
export interface FaultWeights {
  /** One bit of one byte is the other. */
  flip?: number;
  /** Some bytes are gone. */
  lose?: number;
  /** Some bytes come twice. */
  double?: number;
  /** Some bytes come after those that follow them. */
  reorder?: number;
  /** Some bytes come that nobody has sent. */
  garbage?: number;
  /** Nothing comes for some time; then all comes at once. */
  stall?: number;
  /** The plug is pulled, and put back after some time. */
  hangUp?: number;
}

export interface Noise {
  /** Good bytes between two faults on average, 1 or more; the distances are spread exponentially. */
  everyBytes: number;
  weights: FaultWeights;
  /** Longest run of bytes that one fault takes; 40 if it is not given. */
  runMax?: number;
  /** Longest stall; 400 ms if it is not given. */
  stallMsMax?: number;
  /** Longest time without a plug; 500 ms if it is not given. */
  hangUpMsMax?: number;
}

export type FaultKind = keyof FaultWeights;
export type NoiseStep = { bytes: Buffer } | { stallMs: number } | { hangUpMs: number };

export interface NoiseMaker {
  /** How many faults of each kind came so far. */
  readonly counts: Record<FaultKind, number>;
  /** What comes out at the far end when `bytes` go in. A run that a fault is at work on is kept for the next call. */
  push(bytes: Buffer): NoiseStep[];
  /** What is kept, as it would come if nothing followed; the fault at work ends. */
  flush(): Buffer;
  /** Takes another noise from the next fault on; undefined is a good cable, at once. */
  setNoise(noise: Noise | undefined): void;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function createNoise(seed: number, first?: Noise): NoiseMaker {
  const random = seeded(seed);
  const upTo = (max: number): number => 1 + Math.floor(random() * max);
  const counts = { flip: 0, lose: 0, double: 0, reorder: 0, garbage: 0, stall: 0, hangUp: 0 };
  let noise = first;
  let goodBytes = distance();
  let run: { kind: 'lose' | 'double' | 'reorder'; left: number; kept: number[]; overtaking: number } | undefined;

  function distance(): number {
    return noise === undefined ? Infinity : Math.ceil(-Math.log(1 - random()) * noise.everyBytes);
  }

  function pick(weights: FaultWeights): FaultKind {
    const kinds = Object.entries(weights) as [FaultKind, number][];
    let at = random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
    return (kinds.find(([, weight]) => (at -= weight) < 0) ?? kinds[0]!)[0];
  }

  function push(bytes: Buffer): NoiseStep[] {
    const steps: NoiseStep[] = [];
    let out: number[] = [];
    const cut = (step: NoiseStep): void => {
      if (out.length > 0) steps.push({ bytes: Buffer.from(out) });
      out = [];
      steps.push(step);
    };
    for (const byte of bytes) {
      if (run !== undefined) passRun(byte, out);
      else if (goodBytes-- > 0) out.push(byte);
      else begin(byte, out, cut);
    }
    if (out.length > 0) steps.push({ bytes: Buffer.from(out) });
    return steps;
  }

  /** A fault begins at `byte`. */
  function begin(byte: number, out: number[], cut: (step: NoiseStep) => void): void {
    goodBytes = distance();
    const { weights, runMax = 40, stallMsMax = 400, hangUpMsMax = 500 } = noise!;
    const kind = pick(weights);
    counts[kind] += 1;
    if (kind === 'flip') {
      out.push(byte ^ (1 << Math.floor(random() * 8)));
      return;
    }
    if (kind === 'lose' || kind === 'double' || kind === 'reorder') {
      run = { kind, left: upTo(runMax), kept: [], overtaking: upTo(runMax) };
      passRun(byte, out);
      return;
    }
    if (kind === 'garbage') for (let count = upTo(runMax); count > 0; count -= 1) out.push(Math.floor(random() * 256));
    else if (kind === 'stall') cut({ stallMs: upTo(stallMsMax) });
    else cut({ hangUpMs: upTo(hangUpMsMax) });
    out.push(byte);
  }

  function passRun(byte: number, out: number[]): void {
    const fault = run!;
    if (fault.left > 0) {
      fault.left -= 1;
      if (fault.kind !== 'lose') fault.kept.push(byte);
      if (fault.kind === 'double') out.push(byte);
    } else {
      out.push(byte);
      fault.overtaking -= 1;
    }
    const isOver = fault.left === 0 && (fault.kind !== 'reorder' || fault.overtaking === 0);
    if (!isOver) return;
    out.push(...fault.kept);
    run = undefined;
  }

  function flush(): Buffer {
    const kept = Buffer.from(run?.kept ?? []);
    run = undefined;
    return kept;
  }

  return {
    counts,
    push,
    flush,
    setNoise(next) {
      noise = next;
      goodBytes = distance();
    },
  };
}
