// A number of bytes that many may hold together: requests that are not answered yet, over all connections of the door.
// Who only learns afterwards how much it holds takes it at once, and stops reading until there is room; who knows
// beforehand that it will hold much claims it, and reads on when it is given. Claims are served in order, and one of more
// than half the budget is given when the others hold half of it at most: long polls always hold a little, and nobody waits
// for ever.

export interface Budget {
  readonly usedBytes: number;
  /** Bytes that are left; 0 when more than all were taken. */
  readonly leftBytes: number;
  take(bytes: number): void;
  release(bytes: number): void;
  /** Calls `ready` when `bytes` are taken for the caller, perhaps before it returns. Returns the way to give up waiting. */
  claim(bytes: number, ready: () => void): () => void;
}

interface Claim {
  bytes: number;
  ready: () => void;
}

export function createBudget(bytesMax: number): Budget {
  const waiting: Claim[] = [];
  let usedBytes = 0;

  function serve(): void {
    for (let claim = waiting[0]; claim !== undefined; claim = waiting[0]) {
      if (usedBytes > 0 && usedBytes + Math.min(claim.bytes, bytesMax / 2) > bytesMax) return;
      waiting.shift();
      usedBytes += claim.bytes;
      claim.ready();
    }
  }

  return {
    get usedBytes() {
      return usedBytes;
    },
    get leftBytes() {
      return Math.max(0, bytesMax - usedBytes);
    },
    take(bytes) {
      usedBytes += bytes;
    },
    release(bytes) {
      usedBytes -= bytes;
      serve();
    },
    claim(bytes, ready) {
      const claim = { bytes, ready };
      waiting.push(claim);
      serve();
      return () => {
        const index = waiting.indexOf(claim);
        if (index === -1) return;
        waiting.splice(index, 1);
        serve();
      };
    },
  };
}
