// What is asked for: registers that lie next to one another and are wanted equally often become one request. Pure.
//
// Within a unit, a table, an interval and a jitter, registers are put together in the order of their addresses while what
// lies unwanted between two of them is at most `joinGap`, and the whole fits one answer. A value is never cut.

import { BITS_MAX, isBits, type Request } from './request.ts';
import type { RegisterConfig, UnitConfig } from './settings.ts';

export interface Poll {
  unit: UnitConfig;
  request: Extract<Request, { kind: 'read' }>;
  /** In the order of their addresses. */
  registers: readonly RegisterConfig[];
  intervalMs: number;
  jitterMs: number;
}

export function pollsOf(units: readonly UnitConfig[], joinGap: number): Poll[] {
  return units.flatMap((unit) => {
    const alike = Map.groupBy(
      unit.registers,
      ({ table, intervalMs, jitterMs }) => `${table} ${intervalMs} ${jitterMs}`,
    );
    return [...alike.values()].flatMap((registers) => pollsOfAlike(unit, registers, joinGap));
  });
}

function pollsOfAlike(unit: UnitConfig, registers: readonly RegisterConfig[], joinGap: number): Poll[] {
  const ordered = registers.toSorted((left, right) => left.address - right.address);
  const { table, intervalMs, jitterMs } = ordered[0]!;
  const max = isBits(table) ? BITS_MAX : unit.readMax;
  const polls: Poll[] = [];
  let together: RegisterConfig[] = [];
  let end = 0;
  for (const register of ordered) {
    const nextEnd = Math.max(end, register.address + register.count);
    const fits = together.length > 0 && nextEnd - together[0]!.address <= max && register.address - end <= joinGap;
    if (!fits && together.length > 0) polls.push(pollOf(together, end));
    if (!fits) together = [];
    together.push(register);
    end = fits ? nextEnd : register.address + register.count;
  }
  polls.push(pollOf(together, end));
  return polls;

  function pollOf(joined: RegisterConfig[], endAddress: number): Poll {
    const { address } = joined[0]!;
    const request = { kind: 'read' as const, unit: unit.id, table, address, count: endAddress - address };
    return { unit, request, registers: joined, intervalMs, jitterMs };
  }
}
