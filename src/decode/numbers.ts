// Numbers as JSON writes them, without a digit that the device did not mean. Scales are calculated in decimals: 2153 with
// a scale of 0.01 is 21.53, where binary floating point would say 21.530000000000001. Pure.

/** How NaN and the infinities are written. */
export type NanForm = 'null' | 'text';

/** A decimal number: digits / 10^places. */
interface Decimal {
  digits: bigint;
  places: number;
}

/** Up to here every two decimals are different doubles, so that the shortest text of the double is the decimal. */
const EXACT_MAX = 1e15;

/** The decimal that JavaScript prints for a finite number. */
export function decimalOf(value: number): Decimal {
  const [, sign = '', whole = '0', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  const places = fraction.length - Number(exponent);
  const digits = BigInt(sign + whole + fraction);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}

/** The text of digits / 10^places, exactly. */
export function decimalText({ digits, places }: Decimal): string {
  if (places === 0) return String(digits);
  const sign = digits < 0n ? '-' : '';
  const text = String(digits < 0n ? -digits : digits).padStart(places + 1, '0');
  const fraction = text.slice(-places).replace(/0+$/, '');
  return `${sign}${text.slice(0, -places)}${fraction === '' ? '' : '.'}${fraction}`;
}

export type WriteInteger = (raw: number | bigint) => string;

/** Writes raw * scale + offset of whole numbers exactly, whatever their size. */
export function integerWriter(scale: number | undefined, offset: number | undefined): WriteInteger {
  if ((scale ?? 1) === 1 && (offset ?? 0) === 0) return String;
  const factor = decimalOf(scale ?? 1);
  const added = decimalOf(offset ?? 0);
  const places = Math.max(factor.places, added.places);
  const multiplier = factor.digits * 10n ** BigInt(places - factor.places);
  const sum = added.digits * 10n ** BigInt(places - added.places);
  const exactly = (raw: number | bigint): string => decimalText({ digits: BigInt(raw) * multiplier + sum, places });
  const [quickMultiplier, quickSum, divisor] = [Number(multiplier), Number(sum), 10 ** places];
  // Within this, product, sum and divisor are whole numbers that doubles hold, and one division rounds once.
  const quickMax = divisor > EXACT_MAX ? -1 : (EXACT_MAX - Math.abs(quickSum)) / Math.abs(quickMultiplier);
  return (raw) => {
    if (typeof raw === 'number' && raw <= quickMax && raw >= -quickMax) {
      return String((raw * quickMultiplier + quickSum) / divisor);
    }
    return exactly(raw);
  };
}

/** Writes raw * scale + offset of floating point numbers; JSON has no words for NaN and the infinities. */
export function floatWriter(
  type: 'f32' | 'f64',
  scale: number | undefined,
  offset: number | undefined,
  nan: NanForm,
): (raw: number) => string {
  const isPlain = (scale ?? 1) === 1 && (offset ?? 0) === 0;
  const [factor, added] = [scale ?? 1, offset ?? 0];
  return (raw) => {
    const value = isPlain ? raw : raw * factor + added;
    if (!Number.isFinite(value)) return nanText(value, nan);
    return type === 'f32' ? (isPlain ? shortFloat(value) : String(Number(value.toPrecision(9)))) : String(value);
  };
}

export function nanText(value: number, nan: NanForm): string {
  return nan === 'null' ? 'null' : `"${value}"`;
}

/** A decimal of few digits (six, or as many as it takes) that is this 32-bit number and no other: 0.1, not 0.10000000149011612. */
export function shortFloat(value: number): string {
  // Below 2^14 numbers of 32 bits lie closer together than 0.001: at most one multiple of it is this number.
  if (value < 16_384 && value > -16_384) {
    const near = Math.round(value * 1000) / 1000;
    if (Math.fround(near) === value) return String(near);
  }
  for (let digits = 6; digits < 9; digits += 1) {
    const near = Number(value.toPrecision(digits));
    if (Math.fround(near) === value) return String(near);
  }
  return String(Number(value.toPrecision(9)));
}
