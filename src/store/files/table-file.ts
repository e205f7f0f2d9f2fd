// LevelDB's table files, read without LevelDB: by plain reads, where a page that can't be read is an error and no SIGBUS,
// and with every checksum looked at. After doc/table_format.md of LevelDB 1.20, as headwater writes them (uncompressed):
//
//   block | type u8 = 0 | crc u32LE, masked, over block and type          the data blocks, then a few others
//   footer, the last 48 bytes: handle of the metaindex | handle of the index | padding | magic u64LE
//
//   handle: offset, size of a block without its trailer, as varints
//   block:  entries | restarts: u32LE each | their number u32LE
//   entry:  shared, unshared, value length as varints | unshared bytes of the key | value
//   key:    the writer's key | u64LE: sequence << 8 | type, 1 put, 0 delete
//
// The index is a block whose entries hold the last key of a data block (or one behind it) and its handle.

import type { FileHandle } from 'node:fs/promises';
import { isHeadwaterError } from '../../errors.ts';
import { ByteReader, corrupt, type Allocate } from '../../formats/bytes.ts';
import { crc32c } from '../../formats/checksum.ts';
import { readAt, unmask, userKey, type Entry } from './log-file.ts';

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const TAG_BYTES = 8;
const ENTRIES_PER_RESTART = 16;
/** What the index has for a data block, and what is at the end of a table besides it: at most. */
const INDEX_ENTRY_BYTES_MAX = 40;
const END_BYTES_MAX = 512;
/** A block ends with the entry that makes it 16 KiB: with the largest batch, and some more. */
const BLOCK_BYTES_MAX = 2 * 1024 * 1024;
/** More than any block, and a bound for what a damaged handle may ask for. */
const RUN_BYTES_MAX = 128 * 1024 * 1024;
const MAGIC = 'db4775248b80fb57';

export interface BlockHandle {
  offset: number;
  size: number;
  /** No key of the block is above it. */
  lastKey: Buffer;
  /** Learned by a read: `key` is the first of the block at or above `from`. */
  first?: { from: Buffer; key: Buffer };
}

/** The data blocks of a table. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT where footer or index are wrong. */
export async function readTableIndex(file: FileHandle): Promise<BlockHandle[]> {
  const { size } = await file.stat();
  const footer = await readAt(file, Math.max(0, size - FOOTER_BYTES), FOOTER_BYTES);
  if (footer?.length !== FOOTER_BYTES || footer.readBigUInt64LE(40).toString(16) !== MAGIC) {
    throw corrupt('no footer of a table');
  }
  const reader = new ByteReader(footer);
  readHandle(reader);
  const block = await readBlock(file, readHandle(reader));
  const handles: BlockHandle[] = [];
  for (const { key, value } of rawEntriesOf(block)) {
    handles.push({ ...readHandle(new ByteReader(value)), lastKey: userKey(key) });
  }
  return handles;
}

/**
 * The data blocks of a table whose index is lost, one after the other from the start, up to the first that is damaged: then,
 * or when nobody knows how long the table was (`tableBytes`), `onEnd` is told. An entry that shares nothing and has no key can't be: there the restarts of a block begin.
 */
export async function findBlocks(
  file: FileHandle,
  tableBytes: number | undefined,
  onEnd: () => void,
): Promise<BlockHandle[]> {
  const handles: BlockHandle[] = [];
  for (let offset = 0; ;) {
    const window = await readAt(file, offset, BLOCK_BYTES_MAX);
    const size = window === undefined ? undefined : sizeOfBlock(window);
    if (size === undefined) {
      const endBytesMax = handles.length * INDEX_ENTRY_BYTES_MAX + END_BYTES_MAX;
      if (tableBytes === undefined || tableBytes - offset > endBytesMax) onEnd();
      return handles;
    }
    handles.push({ offset, size, lastKey: Buffer.alloc(0) });
    offset += size + TRAILER_BYTES;
  }
}

/** Undefined when no whole data block begins there. */
function sizeOfBlock(window: Buffer): number | undefined {
  const reader = new ByteReader(window);
  try {
    for (let entries = 0; ; entries += 1) {
      const at = reader.position;
      const sizes = [reader.unsignedVarint(), reader.unsignedVarint(), reader.unsignedVarint()] as const;
      reader.skip(sizes[1] + sizes[2]);
      if (sizes.some((each) => each > 0)) continue;
      const restarts = Math.ceil(entries / ENTRIES_PER_RESTART);
      const size = at + 4 * restarts + 4;
      const isWhole =
        restarts > 0 &&
        window.length >= size + TRAILER_BYTES &&
        window.readUInt32LE(size - 4) === restarts &&
        crc32c(window.subarray(0, size + 1)) === unmask(window.readUInt32LE(size + 1));
      return isWhole ? size : undefined;
    }
  } catch (error) {
    if (isHeadwaterError(error)) return undefined;
    throw error;
  }
}

/** The bytes of a block without its trailer. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export async function readBlock(file: FileHandle, handle: { offset: number; size: number }): Promise<Buffer> {
  const [block] = await readBlocks(file, [handle]);
  return block!;
}

/** Blocks that lie one behind the other, in one read: views of one buffer. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export async function readBlocks(
  file: FileHandle,
  handles: { offset: number; size: number }[],
  allocate?: Allocate,
): Promise<Buffer[]> {
  const start = handles[0]!.offset;
  const bytes = await readUnchecked(file, start, handles.at(-1)!.offset + handles.at(-1)!.size - start, allocate);
  return handles.map(({ offset, size }) => {
    const at = offset - start;
    const end = at + size;
    if (at < 0 || end + TRAILER_BYTES > bytes.length) throw corrupt(`a block at ${offset} where none can be`);
    const isRight = crc32c(bytes.subarray(at, end + 1)) === unmask(bytes.readUInt32LE(end + 1));
    if (!isRight) throw corrupt(`wrong checksum of the block at ${offset}`);
    return bytes.subarray(at, end);
  });
}

/** The bytes of some blocks, with the last one's trailer. */
async function readUnchecked(file: FileHandle, offset: number, size: number, allocate?: Allocate): Promise<Buffer> {
  if (size < 0 || size > RUN_BYTES_MAX) throw corrupt(`a block of ${size} bytes at ${offset}`);
  const bytes = await readAt(file, offset, size + TRAILER_BYTES, allocate);
  if (bytes?.length !== size + TRAILER_BYTES) throw corrupt(`the block at ${offset} can't be read`);
  return bytes;
}

/**
 * What is still an entry in a block whose checksum is wrong, up to where it leads nowhere: `onEnd` is told if that is before
 * the block's end. The caller judges the values.
 */
export async function* readDamagedBlock(
  file: FileHandle,
  handle: BlockHandle,
  after: Buffer | undefined,
  onEnd: () => void,
): AsyncGenerator<Entry, void, void> {
  try {
    const block = await readUnchecked(file, handle.offset, handle.size);
    for (const entry of entriesOf(block.subarray(0, handle.size))) {
      const isBehind = after === undefined || entry.key.compare(after) > 0;
      if (isBehind && entry.key.compare(handle.lastKey) <= 0) yield entry;
      else onEnd();
    }
  } catch (error) {
    if (!isHeadwaterError(error)) throw error;
    onEnd();
  }
}

/** The entries of a data block, in order of keys. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export function* entriesOf(block: Buffer): Generator<Entry, void, void> {
  for (const { key, value } of rawEntriesOf(block)) {
    const tag = key.length - TAG_BYTES;
    if (tag < 0) throw corrupt('a key without its sequence');
    const sequence = key.readUIntLE(tag + 1, 6);
    yield { key: key.subarray(0, tag), value: key[tag] === 1 ? value : undefined, sequence };
  }
}

function* rawEntriesOf(block: Buffer): Generator<{ key: Buffer; value: Buffer }, void, void> {
  const restarts = block.length < 4 ? 0 : block.readUInt32LE(block.length - 4);
  const end = block.length - 4 - 4 * restarts;
  if (restarts === 0 || end < 0) throw corrupt(`a block of ${block.length} bytes with ${restarts} restarts`);
  const reader = new ByteReader(block, 0, end);
  let key: Buffer = Buffer.alloc(0);
  while (reader.remaining > 0) {
    const shared = reader.unsignedVarint();
    const unshared = reader.unsignedVarint();
    const valueBytes = reader.unsignedVarint();
    if (shared > key.length) throw corrupt('a key that shares more than there is');
    const at = reader.skip(unshared);
    const rest = block.subarray(at, at + unshared);
    key = shared === 0 ? rest : Buffer.concat([key.subarray(0, shared), rest]);
    const valueAt = reader.skip(valueBytes);
    yield { key, value: block.subarray(valueAt, valueAt + valueBytes) };
  }
}

function readHandle(reader: ByteReader): { offset: number; size: number } {
  return { offset: reader.unsignedVarint(), size: reader.unsignedVarint() };
}
