// Bytes that all partitions of a mirror may hold of the log at a time, so that memory does not depend on the backlog.
// Who asks waits for its turn; one who asks for more than there is gets it when nobody else holds any.

export interface Budget {
  /** Resolves when `bytes` may be held; false when `signal` aborted first. */
  take(bytes: number, signal: AbortSignal): Promise<boolean>;
  /** Corrects what is held by what it turned out to be; a negative number gives back. Never waits. */
  adjust(bytes: number): void;
  readonly heldBytes: number;
  /** True while somebody waits: who can't go on at present should give back what it holds. */
  readonly isShort: boolean;
}

export function createBudget(bytesMax: number): Budget {
  const waiting: { bytes: number; go: () => void }[] = [];
  let heldBytes = 0;

  const fits = (bytes: number): boolean => heldBytes === 0 || heldBytes + bytes <= bytesMax;

  function admit(): void {
    for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
      waiting.shift();
      heldBytes += next.bytes;
      next.go();
    }
  }

  return {
    get heldBytes() {
      return heldBytes;
    },
    get isShort() {
      return waiting.length > 0;
    },
    async take(bytes, signal) {
      if (waiting.length === 0 && fits(bytes)) {
        heldBytes += bytes;
        return true;
      }
      return new Promise((resolve) => {
        const leave = (): void => {
          const at = waiting.indexOf(entry);
          if (at >= 0) waiting.splice(at, 1);
          resolve(false);
        };
        const entry = {
          bytes,
          go: () => {
            signal.removeEventListener('abort', leave);
            resolve(true);
          },
        };
        waiting.push(entry);
        if (signal.aborted) leave();
        else signal.addEventListener('abort', leave, { once: true });
      });
    },
    adjust(bytes) {
      heldBytes += bytes;
      if (bytes < 0) admit();
    },
  };
}
