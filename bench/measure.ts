// What a process has cost, as the kernel tells it in /proc, and what a disk was made to write. Linux only.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';

/** Sectors of /proc/diskstats, whatever the device's own size is. */
const SECTOR_BYTES = 512;
const TMPFS_MAGIC = 0x01021994;
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface Memory {
  rssMib: number;
  /** Heap, stacks, buffers: what the process itself holds. */
  anonymousMib: number;
  /** Pages of files that are mapped: the program, its libraries, and LevelDB's tables. */
  fileMib: number;
  peakMib: number;
}

/** Processor seconds, user and system, of a process, its threads and its children, ended ones too. */
export function cpuSecondsOf(pid: number): number {
  let ticks = 0;
  for (const each of treeOf(pid)) {
    const [user, system, childrenUser, childrenSystem] = timesOf(`/proc/${each}/stat`).ticks;
    ticks += user! + system! + childrenUser! + childrenSystem!;
  }
  return ticks / TICKS_PER_SECOND;
}

/** Processor seconds of a process's threads, those of one name together. */
export function threadSecondsOf(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const { name, ticks } = timesOf(`/proc/${pid}/task/${task}/stat`);
    seconds.set(name, (seconds.get(name) ?? 0) + (ticks[0]! + ticks[1]!) / TICKS_PER_SECOND);
  }
  return seconds;
}

/** Of proc(5), the name and fields 14 to 17: utime, stime, cutime, cstime. What has ended meanwhile counts nothing. */
function timesOf(file: string): { name: string; ticks: number[] } {
  const stat = readOrNothing(file);
  // The name stands in brackets and may hold spaces and brackets.
  const after = stat.lastIndexOf(')');
  const fields = stat.slice(after + 2).split(' ');
  return {
    name: stat.slice(stat.indexOf('(') + 1, after),
    ticks: [11, 12, 13, 14].map((at) => Number(fields[at] ?? 0)),
  };
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

/** Bytes that the process has caused to be written to block devices, without the file system's journal. */
export function writtenBytesOf(pid: number): number {
  let bytes = 0;
  for (const each of treeOf(pid)) {
    bytes += Number(/^write_bytes: (\d+)$/m.exec(readOrNothing(`/proc/${each}/io`))?.[1] ?? 0);
  }
  return bytes;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return { rssMib: mib('VmRSS'), anonymousMib: mib('RssAnon'), fileMib: mib('RssFile'), peakMib: mib('VmHWM') };
}

/** Bytes written so far to the block device below a folder, by everybody, journal included. */
export function deviceBytesOf(folder: string): number {
  const { dev } = statSync(folder, { bigint: true });
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  for (const line of readFileSync('/proc/diskstats', 'utf8').split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[0] === String(major) && fields[1] === String(minor)) return Number(fields[9]) * SECTOR_BYTES;
  }
  throw new Error(`the device of ${folder} is not in /proc/diskstats`);
}

/** True where files are kept in memory, so that nothing would be seen of what a disk costs. */
export function isInMemory(folder: string): boolean {
  return statfsSync(folder).type === TMPFS_MAGIC;
}

function treeOf(pid: number): number[] {
  const found = [pid];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readOrNothing(`/proc/${pid}/task/${task}/children`).trim();
    if (children !== '') found.push(...children.split(' ').flatMap((child) => treeOf(Number(child))));
  }
  return found;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
