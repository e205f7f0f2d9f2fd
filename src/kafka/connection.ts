// One client's connection: cuts the stream into requests, runs them, and sends the answers in the order of the requests.
//
//   socket -> splitter -> waiting requests -> running (in slots, in order) -> answers -> socket
//
// Requests run one after another, as Kafka does it, but for those that may overlap (Produce): of these all that came may
// run together. The socket is not read while too many requests wait, while the door holds too many bytes of requests, or
// while a large request that has only begun waits for its share; a Produce is not begun while the log is full. Nothing
// is begun while the client does not read its answers. A request that can't be understood ends the connection.

import type { Socket } from 'node:net';
import { HeadwaterError, messageOf } from '../errors.ts';
import { FrameSplitter } from '../formats/kafka/framing.ts';
import type { Loan } from './answer-memory.ts';
import { answerTo, readRequest, type Request } from './dispatch.ts';
import { HANG_UP, NO_ANSWER, type Door, type Endpoint } from './handler.ts';
import { plainAddress } from './listener.ts';
import { createReadAhead } from './read-ahead.ts';

/** A request above this claims its bytes before it is read on; those below are bounded by the number of connections: 16 MiB of a thousand. */
const CLAIM_BYTES_MIN = 16 * 1024;
/** Beyond this in the socket's own buffer the client counts as not reading. */
const UNREAD_BYTES_MAX = 256 * 1024;

export interface Connection {
  /** Takes what the socket has read, which is lent: true when more may be read. */
  take(bytes: Buffer): boolean;
  /** Looks whether the connection shall end: it idles, a request arrives too slowly, or answers are not read. */
  sweep(nowMs: number): void;
  /** No more requests; resolves when those that were begun are answered. */
  finish(): Promise<void>;
  /** On return nothing is read for it any longer but what its requests have begun. */
  destroy(): Promise<void>;
}

interface Slot {
  request: Request;
  memory: Loan;
  /** Undefined while it runs. */
  answer: Buffer[] | undefined;
}

/** Serves `socket`, whose reads go to `take`, until either side ends it; `onEnd` is called once then. */
export function serveConnection(socket: Socket, door: Door, endpoint: Endpoint, onEnd: () => void): Connection {
  const { limits, requestBytes, responseBytes, counters, clock, trace } = door;
  const remote = `${socket.remoteAddress}:${socket.remotePort}`;
  const clientHost = `/${plainAddress(socket.remoteAddress ?? '')}`;
  const splitter = new FrameSplitter(limits.requestBytesMax, door.frameMemory);
  const ended = new AbortController();
  const readAhead = createReadAhead(door);
  const waiting: Request[] = [];
  const slots: Slot[] = [];
  /** Bytes claimed for the request that is arriving. */
  let claimedBytes = 0;
  let stopClaim: (() => void) | undefined;
  let isWaitingForRoom = false;
  /** The next request to begin was held back until the log had room. */
  let wasHeldBack = false;
  let isFinishing = false;
  let whenFinished: (() => void) | undefined;
  let lastReadMs = clock.monotonicMs();
  let frameStartMs: number | undefined;
  let unreadSince: { ms: number; bytesWritten: number } | undefined;

  socket.setNoDelay(true);
  socket.on('drain', proceed);
  socket.on('error', (error) => trace.debug('connection failed', { remote, reason: error.message }));
  socket.on('close', onClose);

  function take(bytes: Buffer): boolean {
    lastReadMs = clock.monotonicMs();
    try {
      for (const frame of splitter.push(bytes)) accept(frame);
    } catch (error) {
      refuse(error);
      return false;
    }
    frameStartMs = splitter.isBetweenFrames ? undefined : (frameStartMs ?? lastReadMs);
    claimRest();
    proceed();
    return !socket.isPaused();
  }

  function accept(frame: Buffer): void {
    frameStartMs = undefined;
    requestBytes.take(frame.length - claimedBytes);
    claimedBytes = 0;
    try {
      waiting.push(readRequest(frame));
    } catch (error) {
      requestBytes.release(frame.length);
      throw error;
    }
  }

  /** Reads on only with the share of the request that has begun, or, between requests, while the door has room. */
  function claimRest(): void {
    // Who has the share of its request must come to an end with it: others wait for that.
    if (stopClaim !== undefined || claimedBytes > 0) return;
    const frameBytes = splitter.frameBytes ?? 0;
    const bytes = frameBytes > CLAIM_BYTES_MIN ? frameBytes : 0;
    if (bytes === 0 && requestBytes.leftBytes > 0) return;
    let isGiven = false;
    const stop = requestBytes.claim(bytes, () => {
      claimedBytes = bytes;
      if (bytes > 0) splitter.reserve();
      isGiven = true;
      stopClaim = undefined;
      if (frameStartMs !== undefined) frameStartMs = clock.monotonicMs();
      updateReading();
    });
    if (!isGiven) stopClaim = stop;
  }

  function updateReading(): void {
    const isFull = waiting.length + slots.length >= limits.requestsInFlightMax;
    if (isFull || stopClaim !== undefined || isFinishing) socket.pause();
    else if (socket.isPaused()) {
      lastReadMs = clock.monotonicMs();
      socket.resume();
    }
  }

  /** Begins what may begin. */
  function proceed(): void {
    for (let request = waiting[0]; request !== undefined && mayBegin(request); request = waiting[0]) {
      waiting.shift();
      begin(request);
    }
    updateReading();
    if (isFinishing && slots.length === 0) finishSending();
  }

  function finishSending(): void {
    if (whenFinished !== undefined) socket.end(whenFinished);
    whenFinished = undefined;
  }

  function mayBegin({ handler }: Request): boolean {
    if (socket.destroyed || socket.writableLength > UNREAD_BYTES_MAX) return false;
    const running = slots.at(-1)?.request.handler;
    if (running !== undefined && !(handler.mayOverlap && running === handler)) return false;
    // Where there is no room for records, the answer says so.
    if (!handler.mayOverlap || !door.log.isFull() || door.log.refusal() !== undefined) return true;
    waitForRoom();
    return false;
  }

  function waitForRoom(): void {
    if (isWaitingForRoom) return;
    isWaitingForRoom = true;
    void door.log.whenRoom(ended.signal).then(() => {
      isWaitingForRoom = false;
      wasHeldBack = true;
      proceed();
    });
  }

  function begin(request: Request): void {
    const { name } = request.handler.api;
    counters.requests.set(name, (counters.requests.get(name) ?? 0) + 1);
    const memory = door.answerMemory.lend();
    const slot: Slot = { request, memory, answer: undefined };
    slots.push(slot);
    const { apiVersion: version, clientId } = request.header;
    const from = { clientId: clientId ?? '', clientHost, wasHeldBack };
    wasHeldBack = false;
    const call = { door, version, endpoint, ...from, memory, readAhead, signal: ended.signal };
    answerTo(request, call).then(
      (answer) => {
        if (answer === HANG_UP) socket.destroy();
        settle(slot, answer === NO_ANSWER || answer === HANG_UP ? [] : answer);
      },
      (error: unknown) => {
        refuse(error);
        settle(slot, []);
      },
    );
  }

  function settle(slot: Slot, answer: Buffer[]): void {
    slot.answer = answer;
    const { handler, frame } = slot.request;
    if (handler.keepsNothing) door.frameMemory.giveBack(frame);
    sendAnswers();
    proceed();
  }

  function sendAnswers(): void {
    socket.cork();
    for (let slot = slots[0]; slot?.answer !== undefined; slot = slots[0]) {
      slots.shift();
      requestBytes.release(slot.request.frame.length);
      send(slot.answer, slot.memory);
    }
    socket.uncork();
  }

  function send(pieces: Buffer[], memory: Loan): void {
    if (pieces.length === 0 || socket.destroyed) {
      memory.giveBack();
      return;
    }
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    responseBytes.take(bytes);
    const last = pieces.pop()!;
    for (const piece of pieces) socket.write(piece);
    // Called back with an error, too, when the socket ends before the client has read.
    socket.write(last, () => {
      memory.giveBack();
      responseBytes.release(bytes);
    });
  }

  /** What a client sent is of no use: one line, and the connection ends. Anything else must not happen. */
  function refuse(error: unknown): void {
    socket.destroy();
    if (!(error instanceof HeadwaterError)) throw error;
    counters.malformed += 1;
    trace.limited('closed a connection', { remote, reason: messageOf(error) });
  }

  function onClose(): void {
    ended.abort();
    stopClaim?.();
    requestBytes.release(claimedBytes);
    for (const { frame } of waiting) requestBytes.release(frame.length);
    waiting.length = 0;
    void readAhead.close().then(onEnd);
  }

  function sweep(nowMs: number): void {
    // What waits for a moment of room may have become a matter of days.
    if (isWaitingForRoom) proceed();
    readAhead.sweep();
    const isIdle = waiting.length + slots.length === 0 && socket.writableLength === 0;
    if (isIdle && frameStartMs === undefined && nowMs - lastReadMs > limits.idleMs) {
      socket.destroy();
    } else if (frameStartMs !== undefined && !socket.isPaused() && nowMs - frameStartMs > limits.stallMs) {
      stalled('a request arrives too slowly');
    } else if (hasUnread(nowMs)) {
      stalled('answers are not read');
    }
  }

  function hasUnread(nowMs: number): boolean {
    if (socket.writableLength === 0) unreadSince = undefined;
    else if (unreadSince?.bytesWritten !== socket.bytesWritten) {
      unreadSince = { ms: nowMs, bytesWritten: socket.bytesWritten };
    }
    return unreadSince !== undefined && nowMs - unreadSince.ms > limits.stallMs;
  }

  function stalled(reason: string): void {
    trace.limited('closed a connection', { remote, reason });
    socket.destroy();
  }

  return {
    take,
    sweep,
    finish() {
      isFinishing = true;
      ended.abort();
      socket.pause();
      for (const { frame } of waiting.splice(0)) requestBytes.release(frame.length);
      return new Promise((resolve) => {
        whenFinished = resolve;
        proceed();
      });
    },
    destroy() {
      socket.destroy();
      return readAhead.close();
    },
  };
}
