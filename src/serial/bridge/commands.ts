// Commands to devices of one port: records of a topic, JSON such as {"device": "pump-7", "code": 3, "payload": "01ff"}.
// commands/ gives each at most once and writes the answer; the session sends it at most once to a device that executes it
// at most once. So nothing is executed twice, whatever is killed or lost.

import type { Clock } from '../../clock.ts';
import type { Command, FollowCommands, Following, Outcome } from '../../commands/commands.ts';
import type { BridgeDevice } from './device.ts';
import type { CommandOutcome } from './session-words.ts';

export interface BridgeCommandsConfig {
  topic: string;
  resultTopic: string;
  /** An older command is not carried out. */
  ageMaxMs: number;
  /** How long a device has for its answer. */
  timeoutMs: number;
}

export interface BridgeCommandsNeeds {
  portName: string;
  follow: FollowCommands | undefined;
  /** A device that is on the line, with a session or without. */
  find(name: string): BridgeDevice | undefined;
  /** Whether it, or one that is not there, may be about to begin a session. */
  isExpected(device: BridgeDevice | undefined): boolean;
  clock: Clock;
}

/** What a command asks for. */
interface Order {
  id: unknown;
  device: string;
  code: number;
  payload: Buffer;
}

/** Payload of a command: what the shortest frame that every device takes has room for. */
const PAYLOAD_BYTES_MAX = 100;

/** How long a device is waited for that begins its session: at a start, and after a command without an answer. */
const RETURN_MS = 3000;
const LOOK_MS = 50;

const STATUS_WORDS: Record<number, string> = {
  1: 'the device does not know this code',
  2: 'the device does not take this payload',
  3: 'the device failed to do it',
};

export function followBridgeCommands(config: BridgeCommandsConfig, needs: BridgeCommandsNeeds): Following | undefined {
  /** The device, once it has a session; undefined for one that is not there. */
  async function connected(name: string): Promise<BridgeDevice | undefined> {
    const { clock } = needs;
    const endMs = clock.monotonicMs() + RETURN_MS;
    for (;;) {
      const device = needs.find(name);
      if (device?.key() !== undefined) return device;
      if (clock.monotonicMs() >= endMs || !needs.isExpected(device)) return undefined;
      await clock.sleep(LOOK_MS);
    }
  }

  return needs.follow?.({
    name: `serial/${needs.portName}`,
    topic: config.topic,
    resultTopic: config.resultTopic,
    ageMaxMs: config.ageMaxMs,
    echo(command) {
      const fields = fieldsOf(command);
      return { id: fields?.['id'] ?? null, device: fields?.['device'] ?? null };
    },
    async run(command) {
      const order = orderOf(command);
      if (typeof order === 'string') return { outcome: 'invalid', reason: order };
      const device = await connected(order.device);
      if (device === undefined) {
        return { outcome: 'offline', reason: `no device ${order.device} is connected to port ${needs.portName}` };
      }
      if (!device.takesCommands()) return { outcome: 'refused', reason: 'its firmware takes no commands' };
      return outcomeOf(await device.command(order.code, order.payload, config.timeoutMs));
    },
  });
}

function fieldsOf({ value }: Command): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(value?.toString() ?? '');
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The order in a command, or what is wrong with it. */
function orderOf(command: Command): Order | string {
  const fields = fieldsOf(command);
  if (fields === undefined) return 'must be a JSON object such as {"device": "pump-7", "code": 3, "payload": "01ff"}';
  const { id = null, device, code, payload = '', text } = fields;
  if (typeof device !== 'string') return '"device" must be the name or the uid of a device';
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 0 || code > 255) {
    return '"code" must be an integer from 0 to 255';
  }
  if (text !== undefined && typeof text !== 'string') return '"text" must be a string';
  if (typeof payload !== 'string' || !/^([0-9a-f]{2})*$/i.test(payload)) return '"payload" must be bytes in hex';
  const bytes = text === undefined ? Buffer.from(payload, 'hex') : Buffer.from(text);
  if (bytes.length > PAYLOAD_BYTES_MAX)
    return `its payload has ${bytes.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`;
  return { id, device, code, payload: bytes };
}

function outcomeOf(outcome: CommandOutcome): Outcome {
  if (outcome.kind === 'unanswered') return { outcome: 'unknown', reason: outcome.why };
  const { status, payload } = outcome;
  const detail = { status, payload: payload.toString('hex') };
  // 4: it was done, and the answer was too long for the device to keep.
  if (status === 0 || status === 4) return { outcome: 'done', detail };
  return { outcome: 'refused', reason: STATUS_WORDS[status] ?? `the firmware answers ${status}`, detail };
}
