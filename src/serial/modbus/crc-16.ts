// The sum of Modbus RTU: CRC-16 with the polynomial 0x8005, bits reversed (0xA001), begun with 0xFFFF; its low byte goes
// over the wire first (Modbus over Serial Line 1.02, appendix B). A table of 512 bytes, made when it is first needed.

const POLYNOMIAL = 0xa001;

let table: Uint16Array | undefined;

function makeTable(): Uint16Array {
  const made = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    made[byte] = sum;
  }
  return made;
}

/** The sum over bytes[start, end). */
export function crc16(bytes: Buffer, start = 0, end = bytes.length): number {
  const sums = (table ??= makeTable());
  let sum = 0xffff;
  for (let at = start; at < end; at += 1) sum = (sum >>> 8) ^ sums[(sum ^ bytes[at]!) & 0xff]!;
  return sum;
}

/** True when the two bytes behind bytes[start, end) are its sum. */
export function isSealed(bytes: Buffer, start: number, end: number): boolean {
  return bytes.readUInt16LE(end) === crc16(bytes, start, end);
}
