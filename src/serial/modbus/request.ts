// Requests of a Modbus RTU master, from values to bytes (Modbus Application Protocol 1.1b3, sections 6.1 to 6.12). All
// numbers but the sum are big-endian; bits are packed from the lowest of the first byte on.
//
//   frame        unit 1   function 1   data 0..252   crc 2 (low byte first)
//
//   function                  data of the request                     data of the answer
//   1 read coils              address 2, count 2                      bytes 1, bits
//   2 read discrete inputs    address 2, count 2                      bytes 1, bits
//   3 read holding registers  address 2, count 2                      bytes 1, registers 2 each
//   4 read input registers    address 2, count 2                      bytes 1, registers 2 each
//   5 write coil              address 2, FF00 or 0000                 the same
//   6 write register          address 2, value 2                      the same
//   15 write coils            address 2, count 2, bytes 1, bits       address 2, count 2
//   16 write registers        address 2, count 2, bytes 1, registers  address 2, count 2
//   + 128 exception           -                                       code 1

import assert from 'node:assert';
import { crc16 } from './crc-16.ts';

export type Table = 'coil' | 'discrete' | 'input' | 'holding';

export type Request =
  | { kind: 'read'; unit: number; table: Table; address: number; count: number }
  | { kind: 'write-bits'; unit: number; address: number; bits: readonly boolean[]; isSingle: boolean }
  /** Two bytes a register. `isSingle` takes function 6, which writes one. */
  | { kind: 'write-registers'; unit: number; address: number; bytes: Buffer; isSingle: boolean };

/** Units are 1 to 247; 0 is all of them, and nobody answers. */
export const BROADCAST = 0;
export const UNIT_MAX = 247;
/** What one request may ask for, so that its answer fits a frame of 256 bytes. */
export const REGISTERS_MAX = 125;
export const BITS_MAX = 2000;
export const WRITE_REGISTERS_MAX = 123;
export const WRITE_BITS_MAX = 1968;
export const FRAME_BYTES_MAX = 256;

const READ_FUNCTIONS: Record<Table, number> = { coil: 1, discrete: 2, holding: 3, input: 4 };

export function isBits(table: Table): boolean {
  return table === 'coil' || table === 'discrete';
}

export function functionOf(request: Request): number {
  switch (request.kind) {
    case 'read':
      return READ_FUNCTIONS[request.table];
    case 'write-bits':
      return request.isSingle ? 5 : 15;
    default:
      return request.isSingle ? 6 : 16;
  }
}

/** The frame of a request. What is out of bounds was never checked by its maker: an assertion. */
export function encodeRequest(request: Request): Buffer {
  const { unit, address } = request;
  assert(unit >= 0 && unit <= UNIT_MAX && address >= 0 && address <= 0xffff, 'unit and address are in bounds');
  const data = dataOf(request);
  const frame = Buffer.allocUnsafe(data.length + 6);
  frame[0] = unit;
  frame[1] = functionOf(request);
  frame.writeUInt16BE(address, 2);
  data.copy(frame, 4);
  frame.writeUInt16LE(crc16(frame, 0, frame.length - 2), frame.length - 2);
  return frame;
}

/** What stands behind the address. */
function dataOf(request: Request): Buffer {
  switch (request.kind) {
    case 'read':
      assert(request.count >= 1 && request.count <= (isBits(request.table) ? BITS_MAX : REGISTERS_MAX), 'count');
      return twoBytes(request.count);
    case 'write-bits': {
      const { bits, isSingle } = request;
      assert(bits.length >= 1 && bits.length <= (isSingle ? 1 : WRITE_BITS_MAX), 'count of bits');
      return isSingle ? twoBytes(bits[0] === true ? 0xff00 : 0) : counted(bits.length, packBits(bits));
    }
    default: {
      const { bytes, isSingle } = request;
      const count = bytes.length / 2;
      assert(Number.isInteger(count) && count >= 1 && count <= (isSingle ? 1 : WRITE_REGISTERS_MAX), 'registers');
      return isSingle ? bytes : counted(count, bytes);
    }
  }
}

function counted(count: number, bytes: Buffer): Buffer {
  return Buffer.concat([twoBytes(count), Buffer.of(bytes.length), bytes]);
}

function twoBytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function packBits(bits: readonly boolean[]): Buffer {
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  for (const [at, bit] of bits.entries()) if (bit) bytes[at >> 3]! |= 1 << (at & 7);
  return bytes;
}
