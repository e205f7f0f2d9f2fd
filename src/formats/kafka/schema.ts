// The language of the message tables: one table an API (the NN-*.ts beside this file), each field once, with the
// versions that carry it. A table serves both directions: codec.ts turns it into closures for encoding and decoding, and
// TypeScript infers from it what a decoded message looks like (RequestOf, ResponseOf) and what must be given to encode
// one (RequestDraft, ResponseDraft: there a field with a default may be left out).
//
// Rules, after Kafka's message definitions:
//   - The fields of a table stand in the order of the wire. Names are Kafka's own, in camel case.
//   - A field that a version lacks is not written, whatever its value, and decodes to its default.
//   - In flexible versions strings, arrays and records have compact lengths, and each struct ends with tagged fields.

export type Kind =
  | 'boolean'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'records'
  | 'list'
  | 'array'
  | 'struct';

/** Versions from `min` to `max`, both included. */
export interface Versions {
  readonly min: number;
  readonly max: number;
}

/** One row of a table. `decoded`, `draft` and `optional` exist in the types only. */
export interface Field<Decoded = unknown, Draft = Decoded, Optional extends boolean = boolean> {
  readonly kind: Kind;
  readonly versions: Versions;
  readonly nullable: Versions | undefined;
  /** Number of a tagged field: written only when it is given and the version is flexible. */
  readonly tag: number | undefined;
  readonly default: unknown;
  /** The element of a list. */
  readonly element?: Field;
  /** The fields of a struct, or of each element of an array. */
  readonly fields?: Fields;
  readonly decoded?: Decoded;
  readonly draft?: Draft;
  readonly optional?: Optional;
}

export type Fields = Readonly<Record<string, Field>>;

export interface Options<T> {
  /** Versions that carry the field, as `3+`, `4-10` or `0`; all if not given. */
  readonly versions?: string;
  /** Versions in which it may be null; none if not given. */
  readonly nullable?: string;
  readonly default?: T;
  readonly tag?: number;
}

/** A message as it is decoded: every field is there, absent ones with their default. */
export type Decoded<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer D, unknown> ? D : never };

/** A message as it is given to be encoded. */
export type Draft<F extends Fields> = {
  [K in keyof F as F[K] extends Field<unknown, unknown, true> ? never : K]: DraftOf<F[K]>;
} & { [K in keyof F as F[K] extends Field<unknown, unknown, true> ? K : never]?: DraftOf<F[K]> };

type DraftOf<F> = F extends Field<unknown, infer D> ? D : never;
type Nullable<T, O> = O extends { nullable: string } ? T | null : T;
type IsOptional<O> = O extends { default: unknown } | { tag: number } ? true : false;
type Made<D, W, O> = Field<Nullable<D, O>, Nullable<W, O>, IsOptional<O>>;

export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number;
  readonly name: string;
  /** Versions that the tables describe. */
  readonly versions: Versions;
  /** First flexible version. */
  readonly flexibleFrom: number;
  readonly request: Request;
  readonly response: Response;
}

export type RequestOf<A extends Api> = Decoded<A['request']>;
export type RequestDraft<A extends Api> = Draft<A['request']>;
export type ResponseOf<A extends Api> = Decoded<A['response']>;
export type ResponseDraft<A extends Api> = Draft<A['response']>;

/** 16 zero bytes: Kafka's "no topic id". Shared: never change it. */
export const ZERO_UUID: Buffer = Buffer.alloc(16);

export function defineApi<const Request extends Fields, const Response extends Fields>(api: {
  key: number;
  name: string;
  versions: string;
  /** First flexible version; none if not given. */
  flexibleFrom?: number;
  request: Request;
  response: Response;
}): Api<Request, Response> {
  return { ...api, versions: parseVersions(api.versions), flexibleFrom: api.flexibleFrom ?? Infinity };
}

/** `3+`, `4-10` or `7` as numbers. */
export function parseVersions(text: string): Versions {
  const match = /^(\d+)(\+|-(\d+))?$/.exec(text);
  if (match === null) throw new TypeError(`not a range of versions: ${text}`);
  const min = Number(match[1]);
  if (match[2] === undefined) return { min, max: min };
  return { min, max: match[3] === undefined ? Infinity : Number(match[3]) };
}

export function includes(versions: Versions | undefined, version: number): boolean {
  return versions !== undefined && version >= versions.min && version <= versions.max;
}

export const boolean = scalar<boolean>('boolean', false);
export const int8 = scalar<number>('int8', 0);
export const int16 = scalar<number>('int16', 0);
export const int32 = scalar<number>('int32', 0);
/** A number: what lies beyond 2^53 does not decode, it occurs in no valid message. */
export const int64 = scalar<number>('int64', 0);
export const float64 = scalar<number>('float64', 0);
/** 16 bytes. Decoded: a view of the message. */
export const uuid = scalar<Buffer>('uuid', ZERO_UUID);
export const string = scalar<string>('string', '');

/** Record batches, never looked into. Decoded: a view of the message; encoded: passed on in pieces, without a copy. */
export function records<const O extends Options<Buffer | null>>(
  options?: O,
): Made<Buffer, Buffer | readonly Buffer[], O> {
  return make('records', Buffer.alloc(0), options) as Made<Buffer, Buffer | readonly Buffer[], O>;
}

/** Bytes of another protocol inside, such as a login's: on the wire the same as records. */
export const bytes = records;

/** An array of plain values. */
export function list<D, W, const O extends Options<readonly W[] | null>>(
  element: Field<D, W>,
  options?: O,
): Made<readonly D[], readonly W[], O> {
  const field: Field = { ...make('list', [], options), element };
  return field as Made<readonly D[], readonly W[], O>;
}

/** An array of structs. */
export function array<const F extends Fields, const O extends Options<readonly Draft<F>[] | null>>(
  fields: F,
  options?: O,
): Made<readonly Decoded<F>[], readonly Draft<F>[], O> {
  const field: Field = { ...make('array', [], options), fields };
  return field as Made<readonly Decoded<F>[], readonly Draft<F>[], O>;
}

/** A struct that is always there. */
export function struct<const F extends Fields>(fields: F): Field<Decoded<F>, Draft<F>, false> {
  const field: Field = { ...make('struct', undefined, undefined), fields };
  return field as Field<Decoded<F>, Draft<F>, false>;
}

/** A struct that may be null: a byte before it says whether it is there. */
export function nullableStruct<const F extends Fields, const O extends { versions?: string; default: null }>(
  fields: F,
  options: O,
): Made<Decoded<F> | null, Draft<F> | null, O> {
  const field: Field = { ...make('struct', null, { ...options, nullable: options.versions ?? '0+' }), fields };
  return field as Made<Decoded<F> | null, Draft<F> | null, O>;
}

/** A struct in a tagged field; decodes to undefined when it is not there. */
export function tagged<const F extends Fields>(
  fields: F,
  options: { versions: string; tag: number },
): Field<Decoded<F> | undefined, Draft<F>, true> {
  const field: Field = { ...make('struct', undefined, options), fields };
  return field as Field<Decoded<F> | undefined, Draft<F>, true>;
}

function scalar<T>(kind: Kind, zero: T) {
  return <const O extends Options<T | null>>(options?: O): Made<T, T, O> => make(kind, zero, options) as Made<T, T, O>;
}

function make(kind: Kind, zero: unknown, options: Options<unknown> | undefined): Field {
  return {
    kind,
    versions: parseVersions(options?.versions ?? '0+'),
    nullable: options?.nullable === undefined ? undefined : parseVersions(options.nullable),
    tag: options?.tag,
    default: options !== undefined && 'default' in options ? options.default : zero,
  };
}
