// A port's connection to its device: opens it, tries again for as long as it takes, and remembers what the device was.
// link.ts says when; port.ts does it.

import type { Clock, Timer } from '../clock.ts';
import type { Trace } from '../trace.ts';
import { FIRST_LINK, step, type LinkAction, type LinkInput, type LinkState } from './link.ts';
import type { OpenPort, Port } from './port.ts';
import type { PortConfig } from './settings.ts';
import { wordsOf, type UsbIdentity } from './usb.ts';

export interface ConnectionStatus {
  /** Where the device is, or, of a USB device that was not found yet, what it is. */
  path: string;
  /** The USB device that it is, or was when it was first open. */
  usb?: UsbIdentity;
  state: LinkState;
  /** How long it has been open, or has not been: attempts in between do not count. */
  sinceMs: number;
  /** How often the port was opened. */
  openings: number;
  lastError?: string;
}

export interface Connection {
  /** The port while it is open. */
  port(): Port | undefined;
  status(): ConnectionStatus;
  /** Closes the port for good. On return it is free, and nothing more is called. */
  stop(): Promise<void>;
}

export interface ConnectionNeeds {
  config: PortConfig;
  openPort: OpenPort;
  clock: Clock;
  trace: Trace;
  /** From 0 to 1. */
  random: () => number;
  onOpened: (port: Port) => void;
  onData: (chunk: Buffer) => void;
  onDrained: () => void;
  /** See PortListener. */
  lull: (msMax: number) => number;
  onLost: () => void;
  onState: (state: LinkState, reason: string | undefined) => void;
}

/** The first attempt to open is under way on return. */
export function openConnection(needs: ConnectionNeeds): Connection {
  const { config, clock, trace } = needs;
  const { onData, onDrained, lull } = needs;
  let link = FIRST_LINK;
  let sinceMs = clock.monotonicMs();
  let port: Port | undefined;
  let path = config.path ?? (config.usb === undefined ? '' : wordsOf(config.usb));
  let known: UsbIdentity | undefined;
  let attempt: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let due: Timer | undefined;
  let openings = 0;
  let lastError: string | undefined;

  function move(input: LinkInput, reason?: string): void {
    const before = link.state;
    const { link: next, action } = step(link, input, needs.random());
    link = next;
    if (reason !== undefined) lastError = reason;
    if ((before === 'open') !== (link.state === 'open')) sinceMs = clock.monotonicMs();
    if (before !== link.state) {
      tell(before);
      needs.onState(link.state, reason);
    }
    act(action);
  }

  /** One line a change that matters: not for each attempt while a device stays away. */
  function tell(before: LinkState): void {
    const fields = { port: config.name, path };
    if (link.state === 'open') trace.info('serial port is open', fields);
    else if (link.state === 'lost') trace.warn('serial port is lost', { ...fields, reason: lastError });
    else if (before === 'opening' && link.failures === 1) {
      trace.warn('serial port cannot be opened, trying on', { ...fields, reason: lastError });
    }
  }

  function act(action: LinkAction): void {
    if (action.kind === 'open') attempt = tryToOpen();
    else if (action.kind === 'wait') due = clock.after(action.delayMs, () => move('due'));
    else if (action.kind === 'shut') shut();
  }

  async function tryToOpen(): Promise<void> {
    const opened = await needs.openPort(config, { onData, onLost, onDrained, lull }, clock, known);
    if ('kind' in opened) {
      move(opened.kind, opened.message);
      return;
    }
    port = opened;
    path = opened.path;
    known ??= opened.usb;
    openings += 1;
    move('opened');
    if (link.state === 'open') needs.onOpened(opened);
  }

  function shut(): void {
    due?.cancel();
    closing = port?.close();
    port = undefined;
  }

  function onLost(reason: string): void {
    port = undefined;
    needs.onLost();
    move('lost', reason);
  }

  attempt = tryToOpen();
  return {
    port: () => port,
    status: () => ({
      path,
      ...(known !== undefined && { usb: known }),
      state: link.state,
      sinceMs: clock.monotonicMs() - sinceMs,
      openings,
      ...(lastError !== undefined && { lastError }),
    }),
    async stop() {
      move('stop');
      await attempt;
      await closing;
    },
  };
}
