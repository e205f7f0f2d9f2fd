// A frame of the bridge in words, for whoever looks on at a port. The words are those of firmware-bridge/SPEC.md.

import { NAK_REASON, WELCOME_STATUS, type BridgeRecord, type Frame, type Hello } from '../../formats/bridge-frame.ts';

const WELCOMES: Record<number, string> = {
  [WELCOME_STATUS.epoch]: 'take this epoch',
  [WELCOME_STATUS.connectedElsewhere]: 'refused, connected elsewhere',
  [WELCOME_STATUS.version]: 'refused, no common version',
  [WELCOME_STATUS.busy]: 'busy, try again',
};

/** No Date is later (ECMA-262, time values). */
const DATE_MS_MAX = 8.64e15;

/** `channels` are the names that the device has given. */
export function frameWords(frame: Frame, channels: ReadonlyMap<number, string> = new Map()): string {
  switch (frame.type) {
    case 'hello':
      return helloWords(frame);
    case 'welcome': {
      const { status, epoch, expected, window } = frame;
      const what = WELCOMES[status] ?? `go on from ${expected}, window ${window}`;
      return `WELCOME ${what}${epoch === 0 ? '' : `, epoch ${hex(epoch)}`}`;
    }
    case 'who':
      return 'WHO is there';
    case 'data':
      return `DATA ${frame.sequence}: ${frame.records.map((record) => recordWords(record, channels)).join('; ')}`;
    case 'channel':
      return `CHANNEL ${frame.channel} is ${frame.name}`;
    case 'skip':
      return `SKIP to ${frame.first}`;
    case 'echo':
      return `ECHO ${frame.id}: its clock is ${frame.uptimeMs} ms`;
    case 'answer':
      return `ANSWER ${frame.id}: status ${frame.status}, ${bytes(frame.payload)}`;
    case 'ping':
      return 'PING';
    case 'ack':
      return `ACK committed ${frame.committed}, received ${frame.received}, window ${frame.window}`;
    case 'nak':
      return `NAK ${frame.sequence}: ${frame.reason === NAK_REASON.channel ? 'its channel has no name' : 'missing'}`;
    case 'time':
      return `TIME ${frame.id}: ${moment(frame.wallMs)}, within ${frame.errorMs} ms`;
    // A command: another type does not compile here.
    default:
      return `COMMAND ${frame.id}: code ${frame.code}, ${bytes(frame.payload)}`;
  }
}

function helloWords({ uid, name, firmware, epoch, first, end, lastEpoch, lastEnd }: Hello): string {
  const who = [uid.toString('hex'), name, firmware].filter((word) => word !== '').join(' ');
  const store = epoch === 0 ? `no epoch, ${end} waiting` : `epoch ${hex(epoch)}, ${first} to ${end} waiting`;
  const lost = lastEpoch === 0 ? '' : `; had epoch ${hex(lastEpoch)} up to ${lastEnd}`;
  return `HELLO from ${who}: ${store}${lost}`;
}

function recordWords({ boot, channel, timeMs, payload }: BridgeRecord, channels: ReadonlyMap<number, string>): string {
  const past = boot === undefined ? '' : ` of boot ${boot}`;
  return `${channels.get(channel) ?? `channel ${channel}`}, ${bytes(payload)} at ${timeMs} ms${past}`;
}

/** Whoever says TIME on a line where only a host should may say anything. */
function moment(wallMs: number): string {
  return wallMs > DATE_MS_MAX ? `${wallMs} ms` : new Date(wallMs).toISOString();
}

function bytes({ length }: Buffer): string {
  return length === 1 ? '1 byte' : `${length} bytes`;
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0');
}
