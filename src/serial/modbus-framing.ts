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
import { countResult, exceptionWord, newCounts, unitMetrics, unitStatus, type UnitCounts } from './modbus/counts.ts';
import { afterAnswer, afterFailure, FIRST_HEALTH, type Health } from './modbus/health.ts';
import { FIRST_LINE, readyMs, step, wakeMs, type LineInput, type LineOutput, type Result } from './modbus/line.ts';
import { commandJson, orderOf, type Write } from './modbus/orders.ts';
import { pollsOf, type Poll } from './modbus/polls.ts';
import { createReadings, type Reading } from './modbus/readings.ts';
import { choose, firstDues, nextDue, type Slot } from './modbus/schedule.ts';
import type { ModbusConfig, UnitConfig } from './modbus/settings.ts';

interface PendingWrite {
  write: Write;
  timeoutMs: number;
  settle: (outcome: Outcome) => void;
}

/** What is known of one unit on the line. */
interface Unit {
  health: Health;
  askedMs: number;
  counts: UnitCounts;
}

/** Writes that may wait; with one command at a time from each partition of the topic it is hardly reached. */
const WRITES_MAX = 256;

export function openModbusFraming(config: ModbusConfig, needs: FramingNeeds, random = Math.random): Framing {
  const { portName, clock, trace } = needs;
  const rules = config.line;
  const polls = pollsOf(config.units, config.joinGap);
  const slots = polls.map(({ unit, intervalMs, jitterMs }): Slot => ({ unit: unit.id, intervalMs, jitterMs }));
  const failures = polls.map(() => 0);
  const units = new Map<number, Unit>();
  const readings = createReadings(portName, config);
  const writes: PendingWrite[] = [];
  let dues = firstDues(slots, clock.monotonicMs(), random);
  let line = FIRST_LINE;
  let asked: { poll: number } | { write: PendingWrite } | undefined;
  let wasWrite = false;
  let timer: Timer | undefined;
  let strayBytes = 0;
  let skipped = 0;
  let wrong = 0;
  let isStopped = false;

  function unitOf(id: number): Unit {
    let unit = units.get(id);
    if (unit === undefined) {
      unit = { health: FIRST_HEALTH, askedMs: -Infinity, counts: newCounts() };
      units.set(id, unit);
    }
    return unit;
  }

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
    const pollAtMs = (id: number): number => unitOf(id).health.pollMs;
    // The port is not read meanwhile, so no answer would be seen; room() goes on.
    if (needs.isFull()) return undefined;
    const choice = choose(slots, dues, nowMs, pollAtMs, (id) => unitOf(id).askedMs);
    const at = writes.findIndex(({ write }) => unitOf(write.unit).health.settleMs <= nowMs);
    if (at !== -1 && !(wasWrite && choice.next !== undefined)) return sendWrite(writes.splice(at, 1)[0]!, nowMs);
    if (choice.next !== undefined) return sendPoll(choice.next, nowMs);
    const settled = writes.map(({ write }) => unitOf(write.unit).health.settleMs);
    const nextMs = Math.min(choice.atMs ?? Infinity, ...settled);
    return nextMs === Infinity ? undefined : nextMs;
  }

  function sendPoll(poll: number, nowMs: number): number | undefined {
    const { unit, request } = polls[poll]!;
    wasWrite = false;
    asked = { poll };
    const known = unitOf(unit.id);
    known.askedMs = nowMs;
    known.counts.polls += 1;
    move({ kind: 'send', request, timeoutMs: unit.timeoutMs });
    return wakeMs(line, rules);
  }

  function sendWrite(write: PendingWrite, nowMs: number): number | undefined {
    wasWrite = true;
    asked = { write };
    const known = unitOf(write.write.unit);
    known.askedMs = nowMs;
    known.counts.writes += 1;
    move({ kind: 'send', request: write.write, timeoutMs: write.timeoutMs });
    return wakeMs(line, rules);
  }

  function finish(id: number, result: Result): void {
    const was = asked;
    asked = undefined;
    const nowMs = clock.monotonicMs();
    const unit = unitOf(id);
    countResult(unit.counts, result, nowMs);
    const timeoutMs = was !== undefined && 'write' in was ? was.write.timeoutMs : timeoutOf(id);
    judge(id, unit, result, timeoutMs, nowMs);
    if (was === undefined) return;
    if ('write' in was) was.write.settle(outcomeOf(result));
    else finishPoll(was.poll, result, nowMs);
  }

  function timeoutOf(id: number): number {
    return config.units.find((unit) => unit.id === id)!.timeoutMs;
  }

  /** What a result says of the unit's health. */
  function judge(id: number, unit: Unit, result: Result, timeoutMs: number, nowMs: number): void {
    if (result.kind === 'broadcast' || (result.kind === 'failure' && result.failure === 'closed')) return;
    const before = unit.health.state;
    if (result.kind !== 'failure') unit.health = afterAnswer();
    else {
      if (result.failure !== 'timeout') wrong += 1;
      unit.health = afterFailure(unit.health, nowMs, timeoutMs, config.health);
    }
    const after = unit.health.state;
    if (before === after) return;
    const fields = { port: portName, unit: config.units.find((each) => each.id === id)?.name ?? id };
    if (after === 'quarantined') trace.limited('a Modbus unit does not answer and is left alone for a while', fields);
    else if (before === 'quarantined') trace.info('a Modbus unit answers again', fields);
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
    if (unitOf(poll.unit.id).health.state !== 'quarantined') return;
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
    if (!line.isOpen) return Promise.resolve({ outcome: 'offline', reason: `port ${portName} is not open` });
    if (writes.length >= WRITES_MAX) return Promise.resolve({ outcome: 'refused', reason: 'too many commands wait' });
    const timeoutMs = order.timeoutMs ?? longestTimeoutMs(config.units);
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
          echo(command) {
            const json = commandJson(command.value);
            const fields = ['id', 'unit', 'name', 'table', 'address'] as const;
            if (typeof json === 'string') return {};
            return Object.fromEntries(
              fields.filter((field) => json[field] !== undefined).map((field) => [field, json[field]]),
            );
          },
          run,
        });

  function metrics(): Metric[] {
    return unitMetrics(statusOf(), skipped, strayBytes);
  }

  function statusOf() {
    const nowMs = clock.monotonicMs();
    return config.units.map((unit) => {
      const { counts, health } = unitOf(unit.id);
      return unitStatus(unit, counts, health, nowMs);
    });
  }

  return {
    isMaster: true,
    opened() {
      // Who was away may be back with the port; slots that passed meanwhile are not made up for.
      for (const unit of units.values()) unit.health = FIRST_HEALTH;
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
      timer?.cancel();
      void following?.stop();
      move({ kind: 'close' });
      dropWrites('headwater is stopping');
    },
    room: pump,
    status: () => ({
      overlong: 0,
      invalid: wrong,
      details: {
        units: statusOf(),
        requests: polls.length,
        skipped,
        strayBytes,
        ...(following !== undefined && { commands: following.status() }),
      },
    }),
    metrics,
  };
}

function outcomeOf(result: Result): Outcome {
  switch (result.kind) {
    case 'written':
      return { outcome: 'done' };
    case 'exception':
      return { outcome: 'refused', reason: `exception ${exceptionWord(result.code)}`, detail: { code: result.code } };
    case 'broadcast':
      return { outcome: 'unknown', reason: 'sent to all units; none of them answers' };
    case 'failure':
      return { outcome: 'unknown', reason: failureReason(result.failure) };
    default:
      return { outcome: 'unknown', reason: 'the answer is one to a read' };
  }
}

function failureReason(failure: string): string {
  if (failure === 'timeout') return 'sent, and not answered in time';
  return failure === 'closed' ? 'sent, and the port was lost' : `sent, and the answer was wrong: ${failure}`;
}

function longestTimeoutMs(units: readonly UnitConfig[]): number {
  return Math.max(...units.map(({ timeoutMs }) => timeoutMs));
}
