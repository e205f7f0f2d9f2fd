/** Bytes from hexadecimal digits, with spaces where a reader wants them. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex');
}
