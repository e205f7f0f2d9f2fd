// The life of a machine without a battery, told by what its records would be stamped with.
import { expect, test } from 'vitest';
import { fakeMachine } from '../fakes/machine.ts';

const BUILT = Date.UTC(2026, 0, 1);
const TRUE = Date.UTC(2026, 6, 1);
const [MINUTE, HOUR, DAY, YEAR] = [60_000, 3_600_000, 86_400_000, 31_536_000_000];
const SYNCHRONISED = { isSynchronised: true, by: 'a server', isServed: true };

test('from 1970 on it counts by itself, and what it stamped is put right when the time is known', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  const { clock } = machine.times;
  await machine.pass(5000);
  const { doubt } = clock;
  expect(machine.times.status()).toMatchObject({ state: 'unsure', systemMs: 5000, unknownBoots: 1 });
  expect(clock.wallMs()).toBe(BUILT + 5000);
  expect(doubt).toMatchObject({ boot: 1, bootId: 'boot-1' });
  expect(doubt!.upMs(clock.wallMs())).toBe(5000);
  expect(machine.times.shiftOf(1)).toBeUndefined();

  machine.setWall(TRUE);
  await machine.pass(10_000);
  expect(clock.doubt).toBeUndefined();
  expect(clock.wallMs()).toBe(TRUE + 10_000);
  // 5000 ms after the boot it was 5000 ms past what it is now less 15 s.
  expect(BUILT + 5000 + machine.times.shiftOf(1)!).toBe(TRUE);
  expect(doubt!.shiftMs).toBe(machine.times.shiftOf(1));
  expect(machine.times.status()).toMatchObject({ state: 'plausible', unknownBoots: 0, jumps: 0 });
});

test('another process of the same boot goes on with the same time', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  await machine.pass(30_000);
  await machine.restart();
  await machine.pass(1000);
  expect(machine.times.clock.doubt?.boot).toBe(1);
  expect(machine.times.clock.wallMs()).toBe(BUILT + 31_000);
  // And when the time was known in between, it is known: 1970 is not believed any more.
  machine.setWall(TRUE);
  await machine.pass(10_000);
  machine.setWall(0);
  await machine.restart();
  expect(machine.times.clock.doubt).toBeUndefined();
  expect(machine.times.clock.wallMs()).toBe(TRUE + 10_000);
  expect(machine.times.status().state).toBe('kept');
});

test('the floor rises with the time that the machine ran, over boots, and by no clock that nobody vouches for', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  await machine.pass(2 * HOUR);
  // Ten years ahead, for a while.
  machine.setWall(TRUE + 10 * YEAR);
  await machine.pass(2 * HOUR);
  await machine.reboot();
  const stamp = machine.times.clock.wallMs();
  expect(stamp).toBeGreaterThanOrEqual(BUILT + 3 * HOUR);
  expect(stamp).toBeLessThan(BUILT + 5 * HOUR);
});

test('a time server raises the floor, and lowers it', async () => {
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT, evidence: SYNCHRONISED });
  await machine.pass(2 * HOUR);
  await machine.reboot(0);
  machine.setEvidence({ isSynchronised: undefined });
  await machine.reboot(0);
  const wallMs = machine.times.clock.wallMs();
  expect(wallMs).toBeGreaterThan(TRUE);
});

test('a boot that ends before its time was known stays unsure, and is bounded by the next that is known', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  await machine.pass(MINUTE);
  await machine.reboot();
  await machine.pass(MINUTE);
  expect(machine.times.clock.doubt?.boot).toBe(2);
  expect(machine.times.latestOf(1, BUILT)).toBeUndefined();
  machine.setWall(TRUE);
  await machine.pass(10_000);
  const began = TRUE - MINUTE;
  expect(machine.times.shiftOf(1)).toBeUndefined();
  expect(machine.times.latestOf(1, BUILT)).toBe(began);
  expect(machine.times.latestOf(2, BUILT)).toBe(BUILT + machine.times.shiftOf(2)!);
  expect(machine.times.status()).toMatchObject({ boots: 2, unknownBoots: 1 });
  // The next boots change nothing about it.
  await machine.reboot(TRUE + DAY);
  await machine.pass(10_000);
  expect(machine.times.latestOf(1, BUILT)).toBe(began);
});

test('such a boot is bounded by the next that knew the time from the start, and by no later one', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  await machine.pass(MINUTE);
  await machine.reboot(TRUE);
  expect(machine.times.latestOf(1, BUILT)).toBe(TRUE);
  await machine.reboot(TRUE + DAY);
  expect(machine.times.latestOf(1, BUILT)).toBe(TRUE);
});

test('the table of boots is bounded', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  for (let boot = 2; boot <= 300; boot++) await machine.reboot();
  expect(machine.times.status().boots).toBe(256);
  expect([...machine.card.keys()].filter((key) => key.startsWith('clock/boot/'))).toHaveLength(256);
  expect(machine.times.clock.doubt?.boot).toBe(300);
});

test('a service that has not reached its server makes a restored clock unsure', async () => {
  const served = { isSynchronised: false, isServed: true };
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT, evidence: served });
  expect(machine.times.clock.doubt).toBeDefined();
  const before = machine.times.clock.wallMs();
  machine.setWall(TRUE + 3 * DAY);
  machine.setEvidence(SYNCHRONISED);
  await machine.pass(10_000);
  expect(machine.times.status().state).toBe('synchronised');
  expect(before + machine.times.shiftOf(1)!).toBe(TRUE + 3 * DAY);
});

test('what was plausible is put right by a time server', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  const stamp = machine.times.clock.wallMs();
  machine.setWall(TRUE);
  await machine.pass(10_000);
  expect(stamp + machine.times.shiftOf(1)!).toBe(TRUE);
  machine.setWall(TRUE + DAY);
  machine.setEvidence(SYNCHRONISED);
  await machine.pass(MINUTE);
  expect(machine.times.status()).toMatchObject({ state: 'synchronised', jumps: 1 });
  expect(stamp + machine.times.shiftOf(1)!).toBe(TRUE + DAY - 10_000);
});

test('a clock that goes back by years after it was known is not followed, and believed again when it is back', async () => {
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT });
  const { clock } = machine.times;
  await machine.pass(MINUTE);
  machine.setWall(0);
  // At once, before anybody has looked.
  expect(clock.wallMs()).toBe(TRUE + MINUTE);
  await machine.pass(HOUR);
  expect(clock.wallMs()).toBe(TRUE + MINUTE + HOUR);
  expect(clock.doubt).toBeUndefined();
  expect(machine.times.status()).toMatchObject({ state: 'kept', jumps: 0 });
  machine.setWall(TRUE + MINUTE + HOUR);
  await machine.pass(10_000);
  expect(machine.times.status()).toMatchObject({ state: 'plausible', jumps: 0 });
});

test('a clock that a server kept and that jumps is asked about again', async () => {
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT, evidence: SYNCHRONISED });
  const { clock } = machine.times;
  machine.setEvidence({ isSynchronised: false });
  machine.setWall(TRUE + YEAR);
  expect(clock.wallMs()).toBe(TRUE);
  await machine.pass(MINUTE);
  expect(clock.wallMs()).toBe(TRUE + MINUTE);
  expect(machine.times.status().state).toBe('kept');
  machine.setEvidence({ isSynchronised: true });
  await machine.pass(2 * MINUTE);
  expect(clock.wallMs()).toBe(TRUE + YEAR + 3 * MINUTE);
  expect(machine.times.status()).toMatchObject({ state: 'synchronised', jumps: 1 });
});

test('for retention a jump ahead counts until the node has run as long as records are kept, over restarts', async () => {
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT });
  await machine.pass(10 * HOUR);
  machine.setWall(machine.wallMs() + YEAR);
  await machine.pass(HOUR);
  const nowFor = (): number => machine.times.nowFor(7 * HOUR)!;
  expect(machine.wallMs() - nowFor()).toBe(YEAR);
  await machine.restart();
  expect(machine.wallMs() - nowFor()).toBe(YEAR);
  await machine.pass(6 * HOUR + MINUTE);
  expect(nowFor()).toBe(machine.wallMs());
});

test('for retention a jump back makes nothing older', async () => {
  const machine = await fakeMachine({ wallMs: TRUE + YEAR, builtMs: BUILT });
  await machine.pass(10 * HOUR);
  machine.setWall(TRUE);
  await machine.pass(HOUR);
  expect(machine.times.nowFor(7 * HOUR)).toBe(machine.wallMs());
});

test('while it was off nobody knows how long: that counts as a jump, but between two clocks that servers kept', async () => {
  const plausible = await fakeMachine({ wallMs: TRUE, builtMs: BUILT });
  await plausible.pass(10 * HOUR);
  await plausible.reboot(TRUE + YEAR);
  expect(plausible.wallMs() - plausible.times.nowFor(7 * HOUR)!).toBeGreaterThan(YEAR - 11 * HOUR);
  expect(plausible.times.status().jumps).toBe(1);

  const kept = await fakeMachine({ wallMs: TRUE, builtMs: BUILT, evidence: SYNCHRONISED });
  await kept.pass(10 * HOUR);
  await kept.reboot(TRUE + YEAR);
  expect(kept.times.nowFor(7 * HOUR)).toBe(kept.wallMs());
  expect(kept.times.status().jumps).toBe(0);
});

test('retention asks nobody while nobody knows', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  expect(machine.times.nowFor(DAY)).toBeUndefined();
});

test('a batch of this boot is held back by its age; one of another boot is not', async () => {
  const machine = await fakeMachine({ wallMs: 0, builtMs: BUILT });
  const { times } = machine;
  const stamp = times.clock.wallMs();
  await machine.pass(4 * MINUTE);
  expect(times.holdMs(1, stamp, 10 * MINUTE)).toBe(6 * MINUTE);
  expect(times.holdMs(7, stamp, 10 * MINUTE)).toBe(0);
  await machine.pass(7 * MINUTE);
  expect(times.holdMs(1, stamp, 10 * MINUTE)).toBe(0);
  let isKnown = false;
  void times.whenKnown(new AbortController().signal).then(() => (isKnown = true));
  await machine.pass(1000);
  expect(isKnown).toBe(false);
  machine.setWall(TRUE);
  await machine.pass(10_000);
  expect(isKnown).toBe(true);
});

test('the card is spared: one mark an hour', async () => {
  const machine = await fakeMachine({ wallMs: TRUE, builtMs: BUILT, evidence: SYNCHRONISED });
  await machine.pass(6 * HOUR);
  expect(machine.writes()).toBeLessThanOrEqual(7);
});
