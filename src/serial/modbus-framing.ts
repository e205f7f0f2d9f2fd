// The framing `modbus-rtu`: headwater as the master of a line, which asks its units for registers and writes what commands
// say. The rules are in modbus/, as pure functions; this file joins them to the port, the clock and the log.
//
//   schedule ─ which poll ─┐
//   commands ─ a write ────┴> line ── frame ──> port
//                              │ <── bytes ────
//                              └─ result ─> health of the unit, counts, readings ─> records; outcome ─> command
//
// A write goes before polls, but never two in a row while a poll is due. It is sent once: what came of one that was not
// answered nobody knows, and a second one might do it twice.

import type { Timer } from '../clock.ts';
import type { Command, Following, Outcome } from '../commands/commands.ts';
import type { Metric } from '../metrics.ts';
import type { Framing, FramingNeeds } from './framing.ts';
import { exceptionWord, lineDevice, problemsOf, unitMetrics } from './modbus/counts.ts';
import { FIRST_LINE, readyMs, step, wakeMs, type LineInput, type LineOutput, type Result } from './modbus/line.ts';
import { echoOf, orderOf, outcomeOf, type Write } from './modbus/orders.ts';
import { pollsOf, type Poll } from './modbus/polls.ts';
import { createReadings, type Reading } from './modbus/readings.ts';
import { choose, firstDues, nextDue, type Slot } from './modbus/schedule.ts';
import type { ModbusConfig } from './modbus/settings.ts';
import { openUnits } from './modbus/units.ts';
import { requestWords, resultWords } from './modbus/words.ts';

interface PendingWrite {
  write: Write;
  timeoutMs: number;
  settle: (outcome: Outcome) => void;
}

/** Writes that may wait; with one command at a time from each partition of the topic it is hardly reached. */
const WRITES_MAX = 256;
/** Commands that are read at a start wait this long for the port to be opened. */
const START_MS = 5000;

export function openModbusFraming(config: ModbusConfig, needs: FramingNeeds, random = Math.random): Framing {
  const { portName, clock, trace } = needs;
  const rules = config.line;
  const polls = pollsOf(config.units, config.joinGap);
  const slots = polls.map(({ unit, intervalMs, jitterMs }): Slot => ({ unit: unit.id, intervalMs, jitterMs }));
  const failures = polls.map(() => 0);
  const units = openUnits(config, needs);
  const readings = createReadings(portName, config);
  const writes: PendingWrite[] = [];
  let dues = firstDues(slots, clock.monotonicMs(), random);
  let line = FIRST_LINE;
  let asked: { poll: number } | { write: PendingWrite } | undefined;
  let wasWrite = false;
  let timer: Timer | undefined;
  let strayBytes = 0;
  let skipped = 0;
  let isStopped = false;
  let isStarting = true;
  const notOpen = `port ${portName} is not open`;
  const starting = clock.after(START_MS, () => {
    isStarting = false;
    dropWrites(notOpen);
  });

  function move(input: LineInput): void {
    const moved = step(line, input, clock.monotonicMs(), rules);
    line = moved.line;
    for (const output of moved.outputs) act(output);
  }

  function act(output: LineOutput): void {
    if (output.kind === 'stray') strayBytes += output.bytes;
    else if (output.kind === 'result') finish(output.request.unit, output.result);
    // A port that takes nothing is a line that does not answer: the request ends by its deadline.
    else if (!needs.write(output.bytes)) trace.limited('the serial port takes no request', { port: portName });
  }

  /** Sends what is next, and asks to be woken when there is more to do. */
  function pump(): void {
    timer?.cancel();
    timer = undefined;
    if (isStopped || !line.isOpen) return;
    const nowMs = clock.monotonicMs();
    const ready = readyMs(line);
    const atMs = ready === undefined ? wakeMs(line, rules) : ready > nowMs ? ready : sendNext(nowMs);
    // A millisecond more than asked for rather than a turn too many.
    if (atMs !== undefined) timer = clock.after(Math.max(1, Math.ceil(atMs - nowMs)), wake);
  }

  function wake(): void {
    move({ kind: 'tick' });
    pump();
  }

  /** Sends the next request, if there is one; returns when to look again. */
  function sendNext(nowMs: number): number | undefined {
    const pollAtMs = (id: number): number => units.of(id).health.pollMs;
    // room() goes on.
    if (needs.isFull()) return undefined;
    const choice = choose(slots, dues, nowMs, pollAtMs, (id) => units.of(id).askedMs);
    const at = writes.findIndex(({ write }) => units.of(write.unit).health.settleMs <= nowMs);
    if (at !== -1 && !(wasWrite && choice.next !== undefined)) return sendWrite(writes.splice(at, 1)[0]!, nowMs);
    if (choice.next !== undefined) return sendPoll(choice.next, nowMs);
    const settled = writes.map(({ write }) => units.of(write.unit).health.settleMs);
    const nextMs = Math.min(choice.atMs ?? Infinity, ...settled);
    return nextMs === Infinity ? undefined : nextMs;
  }

  function sendPoll(poll: number, nowMs: number): number | undefined {
    const { unit, request } = polls[poll]!;
    wasWrite = false;
    asked = { poll };
    const known = units.of(unit.id);
    known.askedMs = nowMs;
    known.counts.polls += 1;
    needs.showFrame?.('sent', () => requestWords(request));
    move({ kind: 'send', request, timeoutMs: unit.timeoutMs });
    return wakeMs(line, rules);
  }

  function sendWrite(write: PendingWrite, nowMs: number): number | undefined {
    wasWrite = true;
    asked = { write };
    const known = units.of(write.write.unit);
    known.askedMs = nowMs;
    known.counts.writes += 1;
    needs.showFrame?.('sent', () => requestWords(write.write));
    move({ kind: 'send', request: write.write, timeoutMs: write.timeoutMs });
    return wakeMs(line, rules);
  }

  function finish(id: number, result: Result): void {
    const was = asked;
    asked = undefined;
    const nowMs = clock.monotonicMs();
    units.judge(id, result, nowMs);
    needs.showFrame?.('received', () => `unit ${id}: ${resultWords(result)}`);
    if (was === undefined) return;
    if ('write' in was) was.write.settle(outcomeOf(result));
    else finishPoll(was.poll, result, nowMs);
  }

  function finishPoll(index: number, result: Result, nowMs: number): void {
    const poll = polls[index]!;
    if (result.kind === 'failure') {
      if (result.failure === 'closed') return;
      failures[index]! += 1;
      // Asked again as soon as its unit may be, instead of an interval later.
      if (failures[index]! <= config.health.retries) return;
      giveUp(index, poll, result.failure, nowMs);
      return;
    }
    failures[index] = 0;
    advance(index, nowMs);
    if (result.kind === 'exception') {
      trace.limited('a Modbus unit refuses a request', {
        port: portName,
        unit: poll.unit.name,
        table: poll.request.table,
        address: poll.request.address,
        exception: exceptionWord(result.code),
      });
      hand(readings.ofFailure(poll, `exception ${exceptionWord(result.code)}`, nowMs));
    } else if (result.kind !== 'broadcast') hand(readings.ofAnswer(poll, result, nowMs));
  }

  function giveUp(index: number, poll: Poll, why: string, nowMs: number): void {
    advance(index, nowMs);
    hand(readings.ofFailure(poll, why, nowMs));
    if (units.of(poll.unit.id).health.state !== 'quarantined') return;
    // Nothing else of the unit can be read either, and nobody asks for it meanwhile.
    for (const other of polls) if (other.unit === poll.unit) hand(readings.ofFailure(other, why, nowMs));
  }

  function advance(index: number, nowMs: number): void {
    const before = dues[index]!;
    const next = nextDue(before, slots[index]!, nowMs, random);
    skipped += next.slots - before.slots - 1;
    dues[index] = next;
  }

  function hand(records: readonly Reading[]): void {
    const timestampMs = clock.wallMs();
    // The rule for decoding is for bytes; these are values.
    for (const { key, value } of records) needs.take({ key, value, timestampMs, isDecoded: true });
  }

  function run(command: Command): Promise<Outcome> {
    const order = orderOf(command.value, config);
    if ('invalid' in order) return Promise.resolve({ outcome: 'invalid', reason: order.invalid });
    if (!line.isOpen && !isStarting) return Promise.resolve({ outcome: 'offline', reason: notOpen });
    if (writes.length >= WRITES_MAX) return Promise.resolve({ outcome: 'refused', reason: 'too many commands wait' });
    const timeoutMs = units.timeoutMs(order.write.unit);
    return new Promise((settle) => {
      writes.push({ write: order.write, timeoutMs, settle });
      pump();
    });
  }

  /** Those that wait were not sent; the one under way is settled by the line. */
  function dropWrites(reason: string): void {
    for (const { settle } of writes.splice(0)) settle({ outcome: 'offline', reason });
  }

  const following: Following | undefined =
    config.commands === undefined
      ? undefined
      : needs.follow?.({
          name: `serial/${portName}`,
          topic: config.commands.topic,
          resultTopic: config.commands.results,
          ageMaxMs: config.commands.ageMaxMs,
          echo: echoOf,
          run,
        });

  function metrics(): Metric[] {
    return unitMetrics(units.status(), skipped, strayBytes);
  }

  return {
    // Nobody is asked while the log is full; what was asked before is answered, and heard.
    pacesItself: true,
    isMaster: true,
    opened() {
      isStarting = false;
      starting.cancel();
      // Who was away may be back with the port; slots that passed meanwhile are not made up for.
      units.forgive();
      failures.fill(0);
      dues = firstDues(slots, clock.monotonicMs(), random);
      move({ kind: 'open' });
      pump();
    },
    chunk(bytes) {
      move({ kind: 'bytes', bytes });
      pump();
    },
    lost() {
      timer?.cancel();
      move({ kind: 'close' });
      dropWrites(`port ${portName} was lost`);
      const nowMs = clock.monotonicMs();
      for (const poll of polls) hand(readings.ofFailure(poll, 'port lost', nowMs));
    },
    stop() {
      isStopped = true;
      starting.cancel();
      timer?.cancel();
      void following?.stop();
      move({ kind: 'close' });
      dropWrites('headwater is stopping');
    },
    room: pump,
    status() {
      const all = units.status();
      const devices = all.map(lineDevice);
      return {
        overlong: 0,
        invalid: units.wrong(),
        frames: devices.reduce((sum, { frames }) => sum + frames, 0),
        problems: problemsOf(all, following?.status()),
        devices,
        details: {
          units: all,
          requests: polls.length,
          skipped,
          strayBytes,
          ...(following !== undefined && { commands: following.status() }),
        },
      };
    },
    metrics,
  };
}
