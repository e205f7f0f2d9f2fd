import { expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { watchSilence, type Silence } from '../../src/serial/silence.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';

function watched(): {
  silence: Silence;
  clock: FakeClock;
  told: number[];
  setFull(isFull: boolean): void;
  late(ms: number): void;
} {
  const clock = fakeClock();
  const told: number[] = [];
  let isFull = false;
  let lateMs = 0;
  const slow: Clock = {
    ...clock,
    after: (delayMs, fn) => clock.after(delayMs + lateMs, fn),
  };
  const onSilence = (): void => void told.push(clock.monotonicMs());
  const silence = watchSilence({ clock: slow, idleMs: 50, isFull: () => isFull, onSilence });
  return { silence, clock, told, setFull: (full) => (isFull = full), late: (ms) => (lateMs = ms) };
}

test('a silence is told of once, and only after something was heard', () => {
  const { silence, clock, told } = watched();
  clock.advance(1000);
  silence.heard();
  clock.advance(1000);
  expect(told).toEqual([1050]);
  expect(clock.timers()).toBe(0);
});

test('what is heard in between puts it off, with one timer', () => {
  const { silence, clock, told } = watched();
  for (let count = 0; count < 10; count += 1) {
    silence.heard();
    clock.advance(40);
    expect(clock.timers()).toBe(1);
  }
  clock.advance(100);
  expect(told).toEqual([410]);
});

test('a port that is held back is not silent; it is when it is read again and nothing comes', () => {
  const { silence, clock, told, setFull } = watched();
  silence.heard();
  setFull(true);
  clock.advance(1000);
  setFull(false);
  silence.room();
  clock.advance(1000);
  expect(told).toEqual([1050]);
});

test('a timer that comes late runs once more, as bytes may wait in the kernel', () => {
  const { silence, clock, told, late } = watched();
  late(20);
  silence.heard();
  clock.advance(60);
  late(0);
  clock.advance(30);
  expect(told).toEqual([]);
  silence.heard();
  clock.advance(200);
  expect(told).toEqual([140]);
});

test('nothing is told after cancel', () => {
  const { silence, clock, told } = watched();
  silence.heard();
  silence.cancel();
  silence.room();
  clock.advance(1000);
  expect(told).toEqual([]);
});
