// The bridge framing: the host's end of firmware-bridge/SPEC.md on one port. Frames go to the device that they come from,
// what devices print goes to the diagnostics, and what the host has to say leaves at once (one device on the line) or in
// turns (several). A device keeps its memory over unplugging, restarts and other ports of this node, see memory.ts.
//
//   chunk ──> sections ──> frame ──> device (session, clock) ──> take(record + mark) ──> ... commit ──> ACK
//                     └──> text ──> diagnostics, and the topic for texts

import assert from 'node:assert';
import type { Timer } from '../../clock.ts';
import {
  decodeFrame,
  encodeFrame,
  BRIDGE_VERSION,
  WELCOME_STATUS,
  type Frame,
  type Hello,
} from '../../formats/bridge-frame.ts';
import { createSections } from '../../formats/bridge-sections.ts';
import type { Framing, FramingNeeds, FramingStatus } from '../framing.ts';
import { watchSilence } from '../silence.ts';
import { followBridgeCommands, type BridgeCommandsConfig } from './commands.ts';
import { openBridgeDevice, wallTime, type BridgeDevice, type BridgeDeviceStatus } from './device.ts';
import { frameWords } from './frame-words.ts';
import type { DeviceMemory } from './memory.ts';
import type { Limits } from './session-words.ts';
import { welcomeOf } from './session.ts';
import { createTexts } from './texts.ts';
import { bridgeMetrics, lineDevice } from './told.ts';
import { createTurns, type Turns } from './turns.ts';

export interface BridgeConfig {
  kind: 'bridge';
  /** A record's key; `{device}` and `{channel}` are replaced. */
  key: string;
  /** Names for uids (in hex, lower case). */
  names: ReadonlyMap<string, string>;
  gapsTopic: string;
  /** Where printed text goes besides the diagnostics. */
  textTopic: string | undefined;
  /** Records that a device may send beyond what has arrived, 1 to 255. */
  window: number;
  /** Addresses on a half-duplex line, 1 to 32; undefined: one device, which speaks when it likes. */
  addresses: readonly number[] | undefined;
  slackMs: number;
  baud: number;
  commands: BridgeCommandsConfig | undefined;
}

/** How long a record ordinarily waits for its commit. */
const ACK_MS = 200;
const TEXT_IDLE_MS = 250;
const WHO_MS = 1000;
const LATELY_MS = 5000;
/** Devices of one port in its status: those on the line, and as many that were here since the start. */
const DEVICES_MAX = 64;

/** Keys and epochs are made of `random`, from 0 to 1: they tell sessions apart, and keep no secret. */
export function openBridgeFraming(config: BridgeConfig, needs: FramingNeeds, random = Math.random): Framing {
  const { portName, clock, trace } = needs;
  const deviceMemory = memoryOf(needs);
  const holder = {};
  const devices = new Map<string, BridgeDevice>();
  /** Who is on the line: by address, 0 for a line with one device. */
  const present = new Map<number, BridgeDevice>();
  const texts = createTexts({ portName, topic: config.textTopic, clock, trace, take: needs.take });
  let turns: Turns | undefined;
  let timer: Timer | undefined;
  let timerAtMs = Infinity;
  let whoAtMs = -Infinity;
  let isOpen = false;
  let openedAtMs = clock.monotonicMs();
  const counts = { frames: 0, bad: 0, dropped: 0, unsent: 0 };

  const sections = createSections({
    onBody,
    onText: texts.text,
    onBad() {
      counts.bad += 1;
      // A device that goes on in a session which this process knows nothing of: it is to say hello.
      if (turns === undefined && present.get(0)?.key() === undefined) sayWho();
    },
    keyOf: (address) => present.get(address ?? 0)?.key(),
  });
  const silence = watchSilence({
    clock,
    idleMs: TEXT_IDLE_MS,
    isFull: () => false,
    onSilence() {
      sections.silence();
      texts.end();
    },
  });
  const following =
    config.commands === undefined
      ? undefined
      : followBridgeCommands(config.commands, { portName, follow: needs.follow, find, isExpected, clock });

  function limits(): Limits {
    return { window: needs.isFull() ? 0 : config.window, ackMs: ACK_MS, isReady: isOpen };
  }

  function onBody(body: Buffer): void {
    const decoded = decodeFrame(body);
    const isPolled = config.addresses !== undefined;
    if (decoded === undefined || (decoded.address !== undefined) !== isPolled) {
      counts.dropped += 1;
      return;
    }
    counts.frames += 1;
    const { frame, isFinal, address = 0 } = decoded;
    show('received', address, frame);
    if (frame.type === 'hello') hello(frame, address);
    else present.get(address)?.apply({ kind: 'frame', frame, random, wall: wallTime(clock) });
    turns?.heard(address, frame, isFinal);
  }

  function hello(frame: Hello, address: number): void {
    const uid = frame.uid.toString('hex');
    const before = present.get(address);
    if (before !== undefined && before.uid !== uid) leave(address, before);
    const other = [...present].find(([at, device]) => at !== address && device.uid === uid);
    const device = other === undefined ? deviceOf(uid) : 'elsewhere';
    if (typeof device === 'string') {
      const status = device === 'elsewhere' ? WELCOME_STATUS.connectedElsewhere : WELCOME_STATUS.busy;
      trace.limited('serial device is refused', { port: portName, uid, why: device });
      send(address, welcomeOf(frame, status, limits(), {}), 0);
      return;
    }
    present.set(address, device);
    device.apply({ kind: 'frame', frame, random, wall: wallTime(clock) });
  }

  /** The device with its memory, or why it can't be had here. */
  function deviceOf(uid: string): BridgeDevice | 'elsewhere' | 'full' {
    const known = devices.get(uid);
    const remembered = deviceMemory.claim(uid, holder);
    if (remembered === 'elsewhere' || remembered === 'full') return remembered;
    if (known !== undefined && isHeld(uid)) return known;
    const device = openBridgeDevice({
      uid,
      name: config.names.get(uid) ?? uid,
      portName,
      remembered,
      keyTemplate: config.key,
      gapsTopic: config.gapsTopic,
      limits,
      send: (frame, key) => send(addressOf(uid), frame, key),
      take: needs.take,
      keep: (what, then) => deviceMemory.keep(uid, what, then),
      onSettled: () => releaseIfAway(uid),
      clock,
      trace,
    });
    devices.set(uid, device);
    held.add(uid);
    forgetSome();
    return device;
  }

  // Devices whose memory this port holds: on the line, or with records on their way to the card.
  const held = new Set<string>();
  const isHeld = (uid: string) => held.has(uid);
  const addressOf = (uid: string) => [...present].find(([, device]) => device.uid === uid)?.[0] ?? 0;

  function leave(address: number, device: BridgeDevice): void {
    present.delete(address);
    device.apply({ kind: 'gone' });
    releaseIfAway(device.uid);
  }

  /** Another port may have the device when nothing of it is on the way any more. */
  function releaseIfAway(uid: string): void {
    const device = devices.get(uid);
    const isPresent = [...present.values()].some((other) => other.uid === uid);
    if (device === undefined || isPresent || !device.isSettled() || !held.has(uid)) return;
    held.delete(uid);
    deviceMemory.release(uid, holder, device.remembered());
  }

  function forgetSome(): void {
    for (const uid of devices.keys()) {
      if (devices.size <= DEVICES_MAX) return;
      if (!held.has(uid)) devices.delete(uid);
    }
  }

  function find(name: string): BridgeDevice | undefined {
    return [...present.values()].find((device) => device.name === name || device.uid === name);
  }

  function show(way: 'received' | 'sent', address: number, frame: Frame): void {
    const at = config.addresses === undefined ? '' : `${address}: `;
    needs.showFrame?.(way, () => at + frameWords(frame, present.get(address)?.channels()));
  }

  function send(address: number, frame: Frame, key: number): void {
    if (turns !== undefined) return turns.queue(address, frame, key);
    if (!needs.write(encodeFrame({ frame, isFinal: false }, key))) counts.unsent += 1;
    else show('sent', address, frame);
  }

  /** Whether a device without a session may be about to begin one: it spoke lately, or nobody had the time to. */
  function isExpected(device: BridgeDevice | undefined): boolean {
    return clock.monotonicMs() - openedAtMs < LATELY_MS || (device !== undefined && device.heardMs() < LATELY_MS);
  }

  function sayWho(): void {
    if (clock.monotonicMs() - whoAtMs < WHO_MS) return;
    whoAtMs = clock.monotonicMs();
    send(0, { type: 'who', version: BRIDGE_VERSION }, 0);
  }

  /** What ends the host's part of a turn. */
  function lastWord(address: number): { frame: Frame; key: number } {
    const key = present.get(address)?.key();
    if (key === undefined) return { frame: { type: 'who', version: BRIDGE_VERSION }, key: 0 };
    return { frame: present.get(address)!.acknowledgement(), key };
  }

  function arm(): void {
    let dueAtMs = Infinity;
    for (const device of present.values()) dueAtMs = Math.min(dueAtMs, device.dueAtMs());
    if (dueAtMs === Infinity || (timer !== undefined && timerAtMs <= dueAtMs)) return;
    timer?.cancel();
    timerAtMs = dueAtMs;
    timer = clock.after(Math.max(0, dueAtMs - clock.monotonicMs()), tick);
  }

  function tick(): void {
    timer = undefined;
    for (const device of present.values()) device.apply({ kind: 'tick', wall: wallTime(clock) });
    arm();
  }

  function gone(): void {
    isOpen = false;
    timer?.cancel();
    timer = undefined;
    turns?.stop();
    turns = undefined;
    silence.cancel();
    sections.reset();
    texts.end();
    for (const [address, device] of present) leave(address, device);
  }

  return {
    isMaster: true,
    pacesItself: true,
    opened() {
      isOpen = true;
      openedAtMs = clock.monotonicMs();
      if (config.addresses === undefined) {
        whoAtMs = -Infinity;
        sayWho();
        return;
      }
      const { addresses, baud, slackMs } = config;
      turns = createTurns({
        addresses,
        baud,
        slackMs,
        lastWord,
        write: needs.write,
        onSent: show.bind(undefined, 'sent'),
        clock,
      });
      turns.start();
    },
    chunk(bytes) {
      turns?.heardBytes();
      sections.push(bytes);
      silence.heard();
      arm();
    },
    lost: gone,
    stop() {
      gone();
      void following?.stop();
    },
    room() {
      for (const device of present.values()) device.apply({ kind: 'window' });
    },
    status(): FramingStatus {
      const all = statuses();
      const details = { ...counts, texts: texts.count(), devices: all };
      return { overlong: 0, invalid: counts.bad, frames: counts.frames, devices: all.map(lineDevice), details };
    },
    metrics: () => bridgeMetrics(counts, statuses()),
  };

  function statuses(): BridgeDeviceStatus[] {
    return [...devices.values()].map((device) => device.status());
  }
}

function memoryOf({ deviceMemory }: FramingNeeds): DeviceMemory {
  assert(deviceMemory !== undefined, 'a port for bridge devices is given their memory');
  return deviceMemory;
}
