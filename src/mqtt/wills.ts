// Wills (MQTT 3.1.1 section 3.1.2.5): what a client wants said when it goes without DISCONNECT. A will goes the way of a
// publish: into the log, and after the commit to the subscribers. It lives in memory: the process's own end by kill or
// power cut says nothing for anybody, an orderly stop says all of them.

import { isHeadwaterError, messageOf } from '../errors.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import type { Message } from './message.ts';
import type { PublishCounts } from './publishes.ts';
import type { Router } from './routing.ts';

export interface Will {
  topic: string;
  payload: string | Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
}

export interface Wills {
  publish(will: Will): void;
  /** Resolves when those that were published are committed and routed. */
  whenIdle(): Promise<void>;
}

export function createWills(intake: Intake, router: Router, counts: PublishCounts, trace: Trace): Wills {
  let underWay = 0;
  let idleWaiters: (() => void)[] = [];

  function publish(will: Will): void {
    const payload = typeof will.payload === 'string' ? Buffer.from(will.payload) : will.payload;
    const message = { topic: will.topic, payload, qos: will.qos, retain: will.retain, mark: undefined, counter: 0 };
    underWay += 1;
    let commit: Commit | undefined;
    try {
      commit = intake.acceptMqtt(will.topic, payload);
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
      return end(error);
    }
    counts.records += 1;
    counts.bytes += payload.length;
    if (commit === undefined) counts.unrouted += 1;
    if (commit === undefined) return route(message);
    commit.whenDone((error) => (error === undefined ? route(message) : end(error)));
  }

  function route(message: Message): void {
    if (message.qos > 0) return router.route([message], end);
    router.deliver(message);
    end();
  }

  function end(error?: Error): void {
    if (error !== undefined) trace.limited('a will was not kept', { reason: messageOf(error) });
    underWay -= 1;
    if (underWay > 0) return;
    for (const waiter of idleWaiters) waiter();
    idleWaiters = [];
  }

  return {
    publish,
    whenIdle: () => (underWay === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve))),
  };
}
