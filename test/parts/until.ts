// Waiting on a condition, for tests: never on time that goes by.

/** Waits until `isTrue`; throws with `what`, and what `tell` says, when it is not so within `timeoutMs`. */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
  tell: () => string = () => '',
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what} ${tell()}`);
    await pause(20);
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
