// What is around a message on a connection, both ways.
//
//   frame    | size i32 | size bytes ...
//   request  | size i32 | key i16 | version i16 | correlation id i32 | client id: nullable string, i16 length |
//              tagged fields, in flexible versions | message |
//   response | size i32 | correlation id i32 | tagged fields, in flexible versions but for ApiVersions | message |
//
// The client id's length is never compact. The response to ApiVersions has no tagged fields in its header, ever: it is
// read by clients that do not know yet which version the broker answered in.

import { corrupt } from '../bytes.ts';
import { apiVersions } from './18-api-versions.ts';
import { codecOf, MessageReader, MessageWriter } from './codec.ts';
import type { Api, RequestDraft, RequestOf, ResponseDraft, ResponseOf } from './schema.ts';

/** Array elements in one request, over all its arrays: 4096 partitions come nowhere near. */
const REQUEST_ELEMENTS_MAX = 100_000;
/** Array elements in one response: metadata of all topics of a large cluster. */
const RESPONSE_ELEMENTS_MAX = 2_000_000;

export interface RequestHeader {
  apiKey: number;
  apiVersion: number;
  correlationId: number;
  clientId: string | null;
}

export interface RequestFrame {
  header: RequestHeader;
  /** Stands behind the client id; the header's tagged fields, if the version has any, are read with the message. */
  reader: MessageReader;
}

export function isFlexible(api: Api, version: number): boolean {
  return version >= api.flexibleFrom;
}

/** A whole request, its size in front, in pieces. */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  header: { correlationId: number; clientId: string | null },
  message: RequestDraft<A>,
): Buffer[] {
  const writer = openFrame();
  writer.int16(api.key);
  writer.int16(version);
  writer.int32(header.correlationId);
  if (header.clientId === null) {
    writer.int16(-1);
  } else {
    const at = writer.reserve(2);
    writer.patchInt16(at, writer.utf8(header.clientId));
  }
  const flexible = isFlexible(api, version);
  if (flexible) writer.unsignedVarint(0);
  codecOf(api.request, version, flexible).write(writer, message);
  return closeFrame(writer);
}

/** Reads the header of a request without its size. Whether key and version are known is for the caller to see. */
export function decodeRequestHeader(frame: Buffer): RequestFrame {
  const reader = new MessageReader(frame, REQUEST_ELEMENTS_MAX);
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  const size = reader.int16();
  if (size < -1) throw corrupt(`client id of ${size} bytes`);
  const clientId = size === -1 ? null : reader.utf8(size);
  return { header: { apiKey, apiVersion, correlationId, clientId }, reader };
}

/** The message of a request whose header was read. Buffers in it are views of the frame. */
export function decodeRequest<A extends Api>(api: A, version: number, reader: MessageReader): RequestOf<A> {
  const flexible = isFlexible(api, version);
  if (flexible) skipTagged(reader);
  return codecOf(api.request, version, flexible).read(reader) as RequestOf<A>;
}

/** A whole response, its size in front, in pieces: records in it are passed on as they are. */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  message: ResponseDraft<A>,
): Buffer[] {
  const writer = openFrame();
  writer.int32(correlationId);
  const flexible = isFlexible(api, version);
  if (flexible && api.key !== apiVersions.key) writer.unsignedVarint(0);
  codecOf(api.response, version, flexible).write(writer, message);
  return closeFrame(writer);
}

/** The correlation id of a response without its size. */
export function correlationIdOf(frame: Buffer): number {
  return new MessageReader(frame, 0).int32();
}

/** The message of a response without its size. Buffers in it are views of the frame. */
export function decodeResponse<A extends Api>(api: A, version: number, frame: Buffer): ResponseOf<A> {
  const reader = new MessageReader(frame, RESPONSE_ELEMENTS_MAX);
  reader.int32();
  const flexible = isFlexible(api, version);
  if (flexible && api.key !== apiVersions.key) skipTagged(reader);
  return codecOf(api.response, version, flexible).read(reader) as ResponseOf<A>;
}

function openFrame(): MessageWriter {
  const writer = new MessageWriter(256);
  writer.reserve(4);
  return writer;
}

function closeFrame(writer: MessageWriter): Buffer[] {
  writer.patchInt32(0, writer.messageBytes - 4);
  return writer.pieces();
}

function skipTagged(reader: MessageReader): void {
  for (let count = reader.unsignedVarint(); count > 0; count--) {
    reader.unsignedVarint();
    reader.skip(reader.unsignedVarint());
  }
}
