// The fixed header of MQTT 3.1.1 (section 2.2): what a packet is and where it ends, before any of it is kept.
//
//   byte 0          type (4 bits) | flags (4 bits)
//   byte 1 to 4     remaining length, 7 bits a byte, least significant first, high bit: one more follows
//   then            as many bytes as the remaining length says
//
// Pure: nothing is copied and nothing is allocated. A frame is filled in place, so that reading one costs no garbage.

export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const PINGREQ = 12;
export const DISCONNECT = 14;

/** One packet within a buffer: the body is `bytes[bodyStart, end)`. */
export interface Frame {
  type: number;
  flags: number;
  start: number;
  bodyStart: number;
  /** When the frame is partial: where it will end, or 0 while that cannot be told. */
  end: number;
}

export type FrameState = 'whole' | 'partial' | 'malformed' | 'oversized';

const LENGTH_BYTES_MAX = 4;

export function createFrame(): Frame {
  return { type: 0, flags: 0, start: 0, bodyStart: 0, end: 0 };
}

/**
 * Reads the frame that begins at `start` into `frame`. `oversized` is said as soon as the length is known, whether the
 * body is there or not; the bound counts the whole packet, fixed header included.
 */
export function readFrame(bytes: Buffer, start: number, packetBytesMax: number, frame: Frame): FrameState {
  frame.start = start;
  frame.end = 0;
  if (bytes.length - start < 2) return 'partial';
  const first = bytes[start]!;
  frame.type = first >> 4;
  frame.flags = first & 0x0f;
  let length = 0;
  let at = start + 1;
  for (let index = 0; ; index++) {
    if (index === LENGTH_BYTES_MAX) return 'malformed';
    if (at >= bytes.length) return 'partial';
    const byte = bytes[at++]!;
    length += (byte & 0x7f) << (7 * index);
    if (byte < 0x80) break;
  }
  frame.bodyStart = at;
  frame.end = at + length;
  if (frame.end - start > packetBytesMax) return 'oversized';
  return frame.end > bytes.length ? 'partial' : 'whole';
}

/**
 * True when a client may send such a packet: the type goes from client to server, the reserved flags are as section
 * 2.2.2 demands, and a packet of fixed length has that length. PUBLISH and what lies in a body is checked elsewhere.
 */
export function isClientFrame(frame: Frame): boolean {
  const length = frame.end - frame.bodyStart;
  switch (frame.type) {
    case PUBLISH:
      return true;
    case CONNECT:
      return frame.flags === 0;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      return frame.flags === 2;
    case PUBREL:
      return frame.flags === 2 && length === 2;
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
      return frame.flags === 0 && length === 2;
    case PINGREQ:
    case DISCONNECT:
      return frame.flags === 0 && length === 0;
    default:
      return false;
  }
}
