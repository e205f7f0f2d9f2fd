// The rows of this room in the store's tables: keys, bytes, and the writer. All of it belongs to persistent sessions and
// retained messages; none of it is atomic with records (what must be is a mark, see marks.ts).
//
//   mqttsession/<client id>                  milliseconds the session has been without its client, decimal
//   mqttsubscription/<client id> 00 <filter> QoS u8
//   mqttqueue/<client id> 00 <counter>       QoS u8 | topic length u16 | topic | payload      a message to deliver
//   mqttsent/<client id> 00 <counter>        packet id u16 | 1 sent, 2 released (PUBREC came)  of a QoS 2 one
//   mqttrouted/<publisher> 00 <packet id>    01       this QoS 2 message is in the queues; lives as long as its mark
//   mqttretained/<topic>                     QoS u8 | payload
//
// <counter> is 16 hexadecimal digits and grows with each message. 00 is the byte: no id, topic or filter has it.

import type { Clock, Timer } from '../clock.ts';
import type { Change, Tables } from '../store/store.ts';

export const SESSION = 'mqttsession/';
export const SUBSCRIPTION = 'mqttsubscription/';
export const QUEUE = 'mqttqueue/';
export const SENT = 'mqttsent/';
export const ROUTED = 'mqttrouted/';
export const RETAINED = 'mqttretained/';

export function subscriptionKey(clientId: string, filter: string): string {
  return `${SUBSCRIPTION}${clientId}\0${filter}`;
}

export function queueKey(clientId: string, counter: number): string {
  return `${QUEUE}${clientId}\0${hex(counter)}`;
}

export function sentKey(clientId: string, counter: number): string {
  return `${SENT}${clientId}\0${hex(counter)}`;
}

export function routedKey(publisher: string, packetId: number): string {
  return `${ROUTED}${publisher}\0${packetId}`;
}

/** The two parts of a key after its table's prefix. */
export function partsOf(key: string, prefix: string): [clientId: string, rest: string] {
  const end = key.indexOf('\0', prefix.length);
  return [key.slice(prefix.length, end), key.slice(end + 1)];
}

export function counterOf(digits: string): number {
  return Number.parseInt(digits, 16);
}

function hex(counter: number): string {
  return counter.toString(16).padStart(16, '0');
}

export interface QueuedMessage {
  qos: number;
  topic: string;
  payload: Buffer;
}

export function encodeQueued(qos: number, topic: string, payload: Buffer): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const row = Buffer.allocUnsafe(3 + topicBytes + payload.length);
  row[0] = qos;
  row.writeUInt16BE(topicBytes, 1);
  row.write(topic, 3);
  payload.copy(row, 3 + topicBytes);
  return row;
}

export function decodeQueued(row: Buffer): QueuedMessage {
  const topicEnd = 3 + row.readUInt16BE(1);
  return { qos: row[0]!, topic: row.toString('utf8', 3, topicEnd), payload: row.subarray(topicEnd) };
}

export function encodeSent(packetId: number, isReleased: boolean): Buffer {
  return Buffer.from([packetId >> 8, packetId & 0xff, isReleased ? 2 : 1]);
}

export function decodeSent(row: Buffer): { packetId: number; isReleased: boolean } {
  return { packetId: row.readUInt16BE(0), isReleased: row[2] === 2 };
}

export function encodeRetained(qos: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([qos]), payload]);
}

export function decodeRetained(row: Buffer): { qos: number; payload: Buffer } {
  return { qos: row[0]!, payload: row.subarray(1) };
}

export interface RowWriter {
  /** On return the changes are on the card, all of them or none. */
  write(changes: Change[]): Promise<void>;
  /**
   * Removes a row with the next write, or soon: for what an acknowledgement has made superfluous. A crash before brings
   * it back, and then it is acknowledged once more.
   */
  removeLater(key: string): void;
  /** On return nothing waits to be removed. */
  flush(): Promise<void>;
}

const REMOVE_AFTER_MS = 200;
const REMOVALS_MAX = 1000;

export function createRowWriter(tables: Tables, clock: Clock, onFailure: (error: unknown) => void): RowWriter {
  const removals = new Set<string>();
  let timer: Timer | undefined;

  function write(changes: Change[]): Promise<void> {
    timer?.cancel();
    timer = undefined;
    if (removals.size === 0) return tables.write(changes);
    for (const [key] of changes) removals.delete(key);
    const all: Change[] = [...removals].map((key): Change => [key, null]);
    removals.clear();
    for (const change of changes) all.push(change);
    return tables.write(all);
  }

  function writeRemovals(): void {
    if (removals.size > 0) write([]).catch(onFailure);
  }

  return {
    write,
    removeLater(key) {
      removals.add(key);
      if (removals.size >= REMOVALS_MAX) writeRemovals();
      else timer ??= clock.after(REMOVE_AFTER_MS, writeRemovals);
    },
    async flush() {
      if (removals.size > 0) await write([]);
    },
  };
}
