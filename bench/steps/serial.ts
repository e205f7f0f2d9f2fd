// Devices with firmware-bridge on serial lines: how much of the wire is payload, what a frame costs the host, and how long
// a reading waits for its acknowledgement. The devices are the C library itself, on pseudo terminals; a UART's pace is
// kept by the device (serial-device.c).

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuSecondsOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, type Headwater } from '../servers.ts';
import { missing, type Stand } from '../stand.ts';

const run = promisify(execFile);
const BRIDGE = join(import.meta.dirname, '../../firmware-bridge');
const SIZES = [16, 64, 128];
const PORTS = 8;
const YAHDLC = 'python4yahdlc';
const YAHDLC_VERSION = '1.3.5';
/** What leaves out of the library all that a build may leave out. */
const CORE = ['POLLED', 'PERSIST', 'RETAINED', 'PACK', 'COMMANDS', 'CHECKS'].map((name) => `-DHWB_${name}=0`);

interface Result {
  records: number;
  seconds: number;
  wireBytes: number;
  frames: number;
  spoilt: number;
  again: number;
  p50Ms: number;
  p99Ms: number;
}

export async function measureSerial(stand: Stand): Promise<Section> {
  const folder = stand.makeFolder('serial');
  const device = join(folder, 'serial-device');
  compile(
    device,
    [join(import.meta.dirname, '../serial-device.c'), join(BRIDGE, 'headwater_bridge.c')],
    ['-I', BRIDGE],
  );
  const links = Array.from({ length: PORTS }, (_, index) => join(folder, `tty${index}`));
  const play = async (link: string, ...args: string[]): Promise<Result> =>
    JSON.parse((await run(device, [link, ...args])).stdout) as Result;

  const headwater = await startHeadwater(stand, { dir: stand.makeFolder('serial-data'), burst: '0ms', serial: links });
  const wire = await measureWire(stand, (...args) => play(links[0]!, ...args));
  const host = await measureHost(stand, headwater, links, play);
  await headwater.stop();
  const latency = await measureLatency(stand, links[0]!, play);
  return { name: 'serial', lines: [...wire, '', ...(await peers(stand, folder)), '', ...host, '', ...latency] };
}

/** Payload bytes for each byte that the device sends, at 115200 baud. */
async function measureWire(stand: Stand, play: (...args: string[]) => Promise<Result>): Promise<string[]> {
  const seconds = String(stand.isQuick ? 3 : 15);
  const rows: string[][] = [];
  for (const size of SIZES) {
    const cells = [`${size} bytes`];
    for (const loss of ['0', '1']) {
      stand.progress(`serial: the wire, ${size} bytes, ${loss} % of the frames spoilt`);
      const flags = ['--payload', String(size), '--baud', '115200', '--loss', loss, '--seconds', seconds];
      const { records, wireBytes } = await play(...flags);
      cells.push(percent((records * size) / wireBytes));
    }
    rows.push(cells);
  }
  const head = ['random payload', 'of the wire, clean', 'with 1 % of the frames spoilt'];
  return ['Payload on the wire at 115200 baud, all that the device sends counted.', '', ...table(head, rows)];
}

/** Processor time of the host, with one device at full speed and with eight at 1 Mbaud. */
async function measureHost(
  stand: Stand,
  headwater: Headwater,
  links: string[],
  play: (link: string, ...args: string[]) => Promise<Result>,
): Promise<string[]> {
  const seconds = String(stand.isQuick ? 3 : 10);
  const rows: string[][] = [];
  async function row(name: string, size: number, on: string[], args: string[]): Promise<void> {
    stand.progress(`serial: the host, ${name}`);
    const before = cpuSecondsOf(headwater.pid);
    const flags = ['--payload', String(size), '--seconds', seconds, ...args];
    const results = await Promise.all(on.map((link, index) => play(link, ...flags, '--uid', String(index + 1))));
    const cpu = cpuSecondsOf(headwater.pid) - before;
    const sum = (of: (result: Result) => number): number => results.reduce((total, result) => total + of(result), 0);
    const took = Math.max(...results.map((result) => result.seconds));
    rows.push([
      name,
      ((cpu / sum((result) => result.frames)) * 1e6).toFixed(1),
      ((cpu / sum((result) => result.records)) * 1e6).toFixed(1),
      Math.round(sum((result) => result.records) / took).toString(),
      (sum((result) => result.wireBytes) / took / 1e6).toFixed(2),
      percent(cpu / took),
    ]);
  }
  for (const size of SIZES) await row(`one device at full speed, ${size} bytes`, size, links.slice(0, 1), []);
  await row(`${PORTS} devices at 1 Mbaud, 128 bytes`, 128, links, ['--baud', '1000000']);
  const head = ['', 'CPU us/frame', 'CPU us/record', 'records/s', 'MB/s on the wires', 'of one core'];
  return ['The host: commits without credit, synced.', '', ...table(head, rows)];
}

/** From the call of hwb_send to the acknowledgement in the device, one reading at a time. */
async function measureLatency(
  stand: Stand,
  link: string,
  play: (link: string, ...args: string[]) => Promise<Result>,
): Promise<string[]> {
  const rows: string[][] = [];
  for (const [name, burst] of [
    ['0: credit is saved up', '1h'],
    ['100 ms: no credit is saved up', '0ms'],
  ] as const) {
    stand.progress(`serial: latency, commit interval ${name}`);
    const dir = stand.makeFolder(`serial-latency-${burst}`);
    const headwater = await startHeadwater(stand, { dir, burst, serial: [link] });
    const { records, p50Ms, p99Ms } = await play(link, '--single', '--seconds', stand.isQuick ? '3' : '20');
    rows.push([name, String(records), p50Ms.toFixed(1), p99Ms.toFixed(1)]);
    await headwater.stop();
  }
  const head = ['commit interval', 'readings', 'p50 ms', 'p99 ms'];
  return ['From the reading to its acknowledgement in the device.', '', ...table(head, rows)];
}

/** Two published framings beside ours: yahdlc is built from its package; MIN is calculated from its description. */
async function peers(stand: Stand, folder: string): Promise<string[]> {
  stand.progress('serial: other protocols');
  const rows = [['MIN 2.0, transport frames (calculated)', ...SIZES.map((size) => percent(size / minBytes(size)))]];
  const yahdlc = await fetchYahdlc(folder);
  if (yahdlc === undefined) return ['yahdlc was not to be had, so there is no line of it.', ...peerTable(rows)];
  const sources = ['yahdlc.c', 'fcs.c'].map((name) => join(yahdlc, name));
  const program = join(folder, 'hdlc-line');
  compile(program, [join(import.meta.dirname, '../hdlc-line.c'), ...sources], ['-I', yahdlc]);
  const shares = SIZES.map((size) => 1 / Number(execFileSync(program, [String(size), '20000'], { encoding: 'utf8' })));
  rows.push([`yahdlc ${YAHDLC_VERSION} (frames with a CRC of 16 bits, no retransmission)`, ...shares.map(percent)]);
  return [...peerTable(rows), '', ...footprints(folder, yahdlc, sources)];
}

function peerTable(rows: string[][]): string[] {
  return table(['random payload on a clean wire', ...SIZES.map((size) => `${size} bytes`)], rows);
}

/**
 * Three bytes 0xAA, id, sequence, length, payload, CRC-32, 0x55; a stuffing byte after two of 0xAA in a row, which random
 * bytes hold once in 65,536.
 */
function minBytes(size: number): number {
  return 3 + 1 + 1 + 1 + size + 4 + 1 + (size + 7) / 65_536;
}

/** The folder of its sources; undefined if the package is not to be had. */
async function fetchYahdlc(folder: string): Promise<string | undefined> {
  const into = join(folder, 'yahdlc');
  mkdirSync(into, { recursive: true });
  const wanted = `${YAHDLC}==${YAHDLC_VERSION}`;
  try {
    await run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '--no-binary', ':all:', '-d', into, wanted]);
    await run('tar', [
      'xzf',
      join(
        into,
        readdirSync(into).find((name) => name.endsWith('.tar.gz'))!,
      ),
      '-C',
      into,
    ]);
  } catch {
    return undefined;
  }
  const sources = join(into, `${YAHDLC}-${YAHDLC_VERSION}`, 'yahdlc/C');
  return existsSync(sources) ? sources : undefined;
}

interface Footprint {
  flash: number;
  ram: number;
}

/** Flash and RAM on a Cortex-M0, where the cross compiler is there. Buffers are the caller's in both. */
function footprints(folder: string, yahdlc: string, sources: string[]): string[] {
  const object = join(folder, 'size.o');
  const state = join(folder, 'state.c');
  writeFileSync(state, '#include "headwater_bridge.h"\nchar state[sizeof(hwb_t)];\n');
  function measure(files: string[], include: string, flags: string[] = []): Footprint {
    const sum = { flash: 0, ram: 0 };
    for (const file of files) {
      const target = ['-mcpu=cortex-m0', '-mthumb', '-Os', '--specs=picolibc.specs', '-I', include];
      execFileSync('arm-none-eabi-gcc', [...target, ...flags, '-c', file, '-o', object], { stdio: 'pipe' });
      const [, line] = execFileSync('arm-none-eabi-size', [object], { encoding: 'utf8' }).split('\n');
      const [text, data, bss] = line!.trim().split(/\s+/).map(Number);
      sum.flash += text! + data!;
      sum.ram += data! + bss!;
    }
    return sum;
  }
  const ours = [join(BRIDGE, 'headwater_bridge.c'), state];
  try {
    const rows: [string, Footprint][] = [
      ['headwater_bridge.c, all of it: and time, commands, polled mode, a persistent store', measure(ours, BRIDGE)],
      ['headwater_bridge.c, its core: frames, queue, acknowledgements, retransmission', measure(ours, BRIDGE, CORE)],
      ['yahdlc: frames alone', measure(sources, yahdlc)],
    ];
    const cells = rows.map(([name, { flash, ram }]) => [name, String(flash), String(ram)]);
    return table(['on a Cortex-M0, -Os, bytes', 'flash', 'RAM besides buffers'], cells);
  } catch {
    return ['No sizes on a Cortex-M0: gcc-arm-none-eabi and picolibc-arm-none-eabi are not installed.'];
  }
}

function compile(program: string, files: string[], flags: string[]): void {
  try {
    execFileSync('cc', ['-O2', ...flags, '-o', program, ...files], { stdio: 'pipe' });
  } catch (error) {
    throw missing('cc', 'gcc', error);
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
