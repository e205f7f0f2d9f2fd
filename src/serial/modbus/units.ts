// The units of one line at work: for each its health, its counts, and when it was last asked. Units that only commands
// reach are known, too; they are bounded by their ids.

import type { FramingNeeds } from '../framing.ts';
import { countResult, newCounts, unitStatus, type UnitCounts, type UnitStatus } from './counts.ts';
import { afterAnswer, afterFailure, FIRST_HEALTH, type Health } from './health.ts';
import type { Result } from './line.ts';
import type { ModbusConfig } from './settings.ts';

export interface Unit {
  health: Health;
  askedMs: number;
  counts: UnitCounts;
}

export interface Units {
  of(id: number): Unit;
  /** How long it may take; for one that is not in the settings, as long as the slowest that is. */
  timeoutMs(id: number): number;
  /** Counts a result, and says what it means for the unit's health. */
  judge(id: number, result: Result, nowMs: number): void;
  /** All are asked as if they had never failed. */
  forgive(): void;
  /** Those of the settings, in their order. */
  status(): UnitStatus[];
  /** Answers that were damaged, or not what was asked for. */
  wrong(): number;
}

export function openUnits(config: ModbusConfig, needs: FramingNeeds): Units {
  const { portName, clock, trace } = needs;
  const configs = new Map(config.units.map((unit) => [unit.id, unit]));
  const slowestMs = Math.max(...config.units.map((unit) => unit.timeoutMs));
  const units = new Map<number, Unit>();
  let wrong = 0;

  function of(id: number): Unit {
    let unit = units.get(id);
    if (unit === undefined) {
      unit = { health: FIRST_HEALTH, askedMs: -Infinity, counts: newCounts() };
      units.set(id, unit);
    }
    return unit;
  }

  function timeoutMs(id: number): number {
    return configs.get(id)?.timeoutMs ?? slowestMs;
  }

  function judge(id: number, result: Result, nowMs: number): void {
    const unit = of(id);
    countResult(unit.counts, result, nowMs);
    if (result.kind === 'broadcast' || (result.kind === 'failure' && result.failure === 'closed')) return;
    const before = unit.health.state;
    if (result.kind !== 'failure') unit.health = afterAnswer();
    else {
      if (result.failure !== 'timeout') wrong += 1;
      unit.health = afterFailure(unit.health, nowMs, timeoutMs(id), config.health);
    }
    tell(id, before, unit.health.state);
  }

  function tell(id: number, before: Health['state'], after: Health['state']): void {
    if (before === after) return;
    const fields = { port: portName, unit: configs.get(id)?.name ?? id };
    if (after === 'quarantined') trace.limited('a Modbus unit does not answer and is left alone for a while', fields);
    else if (before === 'quarantined') trace.info('a Modbus unit answers again', fields);
  }

  return {
    of,
    timeoutMs,
    judge,
    forgive() {
      for (const unit of units.values()) unit.health = FIRST_HEALTH;
    },
    status() {
      const nowMs = clock.monotonicMs();
      return config.units.map((unit) => {
        const { counts, health } = of(unit.id);
        return unitStatus(unit, counts, health, nowMs);
      });
    },
    wrong: () => wrong,
  };
}
