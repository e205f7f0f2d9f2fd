// How people write durations, sizes, addresses and names in the configuration. Each parser returns the value, or a
// Refusal that ends the sentence "must be ...". They are pure and know nothing of files.

/** Why a value is refused: the end of a sentence that begins with the setting's name. */
export interface Refusal {
  refused: string;
}

export type Parsed<T> = T | Refusal;

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'refused' in value;
}

function refuse(refused: string): Refusal {
  return { refused };
}

/** A value as it is quoted in an error: short, one line. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export interface Bounds {
  min: number;
  max: number;
}

const DURATION_UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const BYTE_UNITS = new Map([
  ['B', 1],
  ['kB', 1e3],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);

interface Quantity {
  what: string;
  example: string;
  units: ReadonlyMap<string, number>;
}

const DURATION: Quantity = { what: 'a duration', example: '100ms, 30s, 5m, 12h or 7d', units: DURATION_UNITS };
const BYTES: Quantity = { what: 'a size', example: '64KiB, 512MiB, 8GiB or 10MB', units: BYTE_UNITS };

function parseQuantity(input: unknown, kind: Quantity, bounds: Bounds): Parsed<number> {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(typeof input === 'string' ? input.trim() : '');
  const unit = kind.units.get(match?.[2] ?? '');
  if (match === null || unit === undefined) {
    const unitMissing = typeof input === 'number' ? ` (the unit is missing)` : '';
    return refuse(`must be ${kind.what} such as ${kind.example}, not ${quote(input)}${unitMissing}`);
  }
  const value = Math.round(Number(match[1]) * unit);
  if (value < bounds.min || value > bounds.max) {
    const range = `${formatQuantity(bounds.min, kind)} to ${formatQuantity(bounds.max, kind)}`;
    return refuse(`must be ${range}, not ${quote(input)}`);
  }
  return value;
}

function formatQuantity(value: number, kind: Quantity): string {
  const [smallest = ''] = kind.units.keys();
  let best = `${value}${smallest}`;
  for (const [unit, size] of kind.units) {
    if (value >= size && value % size === 0) best = `${value / size}${unit}`;
  }
  return best;
}

/** Milliseconds of `100ms`, `30s`, `5m`, `12h` or `7d`; bounds are milliseconds, both included. */
export function parseDuration(input: unknown, bounds: Bounds): Parsed<number> {
  return parseQuantity(input, DURATION, bounds);
}

/** As parseDuration, and -1 for `never`. */
export function parseDurationOrNever(input: unknown, bounds: Bounds): Parsed<number> {
  if (input === 'never') return -1;
  const parsed = parseDuration(input, bounds);
  return isRefusal(parsed) ? refuse(`${parsed.refused}; "never" keeps for ever`) : parsed;
}

/** Bytes of `64KiB`, `8GiB` or `10MB`; bounds are bytes, both included. */
export function parseBytes(input: unknown, bounds: Bounds): Parsed<number> {
  return parseQuantity(input, BYTES, bounds);
}

/** As parseBytes, and -1 for `none`. */
export function parseBytesOrNone(input: unknown, bounds: Bounds): Parsed<number> {
  if (input === 'none') return -1;
  const parsed = parseBytes(input, bounds);
  return isRefusal(parsed) ? refuse(`${parsed.refused}; "none" is no limit`) : parsed;
}

/** Milliseconds in the largest unit that says them exactly: 300000 is `5m`. */
export function formatDuration(ms: number): string {
  return ms < 0 ? 'never' : formatQuantity(ms, DURATION);
}

const AGE_UNITS: readonly [name: string, seconds: number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

/** Milliseconds as people look at them, in the two largest units and cut below: 90061000 is `1d 1h`. */
export function formatAge(ms: number): string {
  let rest = Math.max(0, Math.floor(ms / 1000));
  const first = AGE_UNITS.findIndex(([, seconds]) => rest >= seconds);
  if (first === -1) return '0s';
  const parts: string[] = [];
  for (const [name, seconds] of AGE_UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count}${name}`);
  }
  return parts.join(' ');
}

/** Bytes in the largest unit that says them exactly: 8589934592 is `8GiB`. */
export function formatBytes(bytes: number): string {
  return bytes < 0 ? 'none' : formatQuantity(bytes, BYTES);
}

const AMOUNTS: readonly [unit: string, bytes: number][] = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
];

/** Bytes as people look at them, rounded: 14688000000 is `14.7 GB`. */
export function formatAmount(bytes: number): string {
  // What would be rounded up to 1000 of a unit is one of the next.
  const found = AMOUNTS.find(([, size]) => bytes >= size * 0.9995);
  if (found === undefined) return `${Math.round(bytes)} B`;
  const count = bytes / found[1];
  return `${count >= 99.95 ? count.toFixed(0) : count.toFixed(1)} ${found[0]}`;
}

const YEARS_MAX = 100;
const YEAR_DAYS = 365.25;

/** How long a card lasts, as people think of it: `more than 100 years`, `10.9 years`, `73 days`. */
export function formatLife(years: number): string {
  if (years > YEARS_MAX) return `more than ${YEARS_MAX} years`;
  return years >= 1 ? `${years.toFixed(1)} years` : `${Math.floor(years * YEAR_DAYS)} days`;
}

/** Where a door listens, or where to connect to. Port 0 takes any free port. */
export interface Address {
  host: string;
  port: number;
}

const ADDRESS = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>\d{1,5})$/;

/** `127.0.0.1:1883`, `localhost:1883`, `[::1]:1883`. */
export function parseAddress(input: unknown): Parsed<Address> {
  const groups = typeof input === 'string' ? ADDRESS.exec(input.trim())?.groups : undefined;
  const host = groups?.['v6'] ?? groups?.['name'];
  const port = Number(groups?.['port']);
  if (host === undefined || !(port <= 65_535)) {
    return refuse(`must be HOST:PORT such as 127.0.0.1:1883 or "[::1]:1883", not ${quote(input)}`);
  }
  return { host, port };
}

/** As parseAddress, and undefined for `off`: the door stays shut. */
export function parseListen(input: unknown): Parsed<Address | undefined> {
  if (input === 'off' || input === false) return undefined;
  const parsed = parseAddress(input);
  return isRefusal(parsed) ? refuse(`${parsed.refused}; "off" opens nothing`) : parsed;
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True when only processes of this machine can connect. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** A topic's name under Kafka's rules. */
export function parseTopicName(input: unknown): Parsed<string> {
  if (typeof input === 'string' && /^[A-Za-z0-9._-]{1,249}$/.test(input) && !/^\.{1,2}$/.test(input)) return input;
  return refuse(`must be a topic's name (letters, digits, dot, underscore, hyphen; at most 249), not ${quote(input)}`);
}

/** An MQTT topic, or a template of one. */
export function parseMqttTopic(input: unknown): Parsed<string> {
  if (typeof input === 'string' && /^[^+#\0]{1,1024}$/.test(input)) return input;
  return refuse(`must be an MQTT topic (1 to 1,024 characters, without + and #), not ${quote(input)}`);
}

/** A short name that may become part of a topic's name or a label. */
export function parseNodeName(input: unknown): Parsed<string> {
  if (typeof input === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(input)) return input;
  return refuse(
    `must be 1 to 100 letters, digits, dots, underscores or hyphens, a letter or digit first, not ${quote(input)}`,
  );
}

/** A whole number within bounds, both included. */
export function parseInteger(input: unknown, bounds: Bounds): Parsed<number> {
  if (typeof input === 'number' && Number.isInteger(input) && input >= bounds.min && input <= bounds.max) return input;
  return refuse(`must be a whole number from ${bounds.min} to ${bounds.max}, not ${quote(input)}`);
}

/** Bytes of `0d0a`; bounds are their number, both included. */
export function parseHex(input: unknown, bounds: Bounds): Parsed<Buffer> {
  const isHex = typeof input === 'string' && /^(?:[0-9A-Fa-f]{2})+$/.test(input);
  const bytes = Buffer.from(isHex ? input : '', 'hex');
  if (isHex && bytes.length >= bounds.min && bytes.length <= bounds.max) return bytes;
  const range = `${bounds.min} to ${bounds.max} bytes in hex such as "0d0a"`;
  // YAML takes 00, 10 and 7e10 for numbers.
  return refuse(`must be ${range}, not ${quote(input)}${typeof input === 'number' ? ' (put it in quotes)' : ''}`);
}

/** A USB vendor or product number as `lsusb` prints it. */
export function parseUsbNumber(input: unknown): Parsed<string> {
  if (typeof input === 'string' && /^[0-9A-Fa-f]{4}$/.test(input)) return input.toLowerCase();
  const hint = typeof input === 'number' ? ' (put it in quotes)' : '';
  return refuse(`must be four hex digits such as "2341", not ${quote(input)}${hint}`);
}

/** Edits (insert, remove, replace, swap of neighbours) that turn one word into the other, regardless of case. */
export function editDistance(from: string, to: string): number {
  const a = from.toLowerCase();
  const b = to.toLowerCase();
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) cost = Math.min(cost, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** The candidate that `word` was probably meant to be, if one is near enough. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
