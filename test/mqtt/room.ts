// An MQTT door for tests: a hand-settled intake, tables in memory, a port that the system chose. `restart` opens another
// door over what the first one left on the card; `crash` does so without an orderly end.

import { createTrace } from '../../src/trace.ts';
import { openMqtt, type MqttNeeds, type MqttRoom } from '../../src/mqtt/mqtt.ts';
import type { MqttLimits } from '../../src/mqtt/limits.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { MemoryTables } from '../fakes/memory-tables.ts';
import { SettledIntake } from '../fakes/settled-intake.ts';
import { RawClient, type ConnectOptions } from './raw-client.ts';

export interface TestRoom {
  room: MqttRoom;
  intake: SettledIntake;
  tables: MemoryTables;
  clock: FakeClock;
  connect(options?: ConnectOptions): Promise<RawClient>;
  dial(): Promise<RawClient>;
  /** Another door over copies of the same marks and rows, as after kill -9. The old one is closed afterwards. */
  crash(): Promise<TestRoom>;
  close(): Promise<void>;
}

export async function openRoom(
  limits: Partial<MqttLimits> = {},
  left: { marks?: Map<string, Buffer>; rows?: Map<string, Buffer> } = {},
  more: Partial<MqttNeeds> = {},
): Promise<TestRoom> {
  const intake = new SettledIntake(left.marks);
  const tables = new MemoryTables(left.rows);
  const clock = fakeClock();
  const clients: RawClient[] = [];
  const trace = createTrace({ write: () => undefined });
  const listen = { host: '127.0.0.1', port: 0 };
  const room = await openMqtt({ listen, intake, marks: intake.markStore, tables, clock, trace, limits, ...more });

  function keep(client: RawClient): RawClient {
    clients.push(client);
    return client;
  }

  async function close(): Promise<void> {
    intake.isAutomatic = true;
    intake.empty();
    intake.settle();
    for (const client of clients) client.hangUp();
    // Commits and table writes need turns of the event loop; only what never ends is cut off by the clock.
    const closing = room.close();
    const pushing = setInterval(() => clock.advance(1000), 20);
    await closing;
    clearInterval(pushing);
  }

  return {
    room,
    intake,
    tables,
    clock,
    connect: async (options) => keep(await RawClient.connect(room.port, options)),
    dial: async () => keep(await RawClient.dial(room.port)),
    async crash() {
      const next = await openRoom(limits, { marks: new Map(intake.marks), rows: new Map(tables.rows) }, more);
      await close();
      return next;
    },
    close,
  };
}

/** Lets sockets and the event loop do what is under way. */
export async function settleDown(turns = 10): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
}

export async function until(condition: () => boolean, what = 'a condition'): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`waited in vain for ${what}`);
}
