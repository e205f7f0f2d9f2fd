// Finds out what the upstream holds of the records in doubt, before anything is sent again. Asks its memory of the
// producer id first; where that is gone (it forgets by the time of the records, not of their arrival) it waits until no
// stray copy can arrive any more and reads back.
//
// One case stays open: a copy that is late, and whose producer id the upstream forgets between our sending again and its
// arrival, is appended a second time. It needs records a day old and a look of the upstream (every ten minutes) in just
// those milliseconds.

import type { Clock } from '../clock.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import { LATEST_TIMESTAMP } from '../formats/kafka/02-list-offsets.ts';
import type { Trace } from '../trace.ts';
import { unreachable } from './connection.ts';
import { refusalOf } from './outcomes.ts';
import { abandon, judge, onLost, onProven, type Progress, type Remembered } from './progress.ts';
import { prove, readBack, type Place } from './read-back.ts';
import type { Upstream } from './upstream.ts';

export interface SettleNeeds {
  upstream: Upstream;
  place: Place;
  progress: Progress;
  /** First offset that this node still has. */
  logStart: number;
  /** The offset here behind the next `count` records from the settled point on. */
  offsetBehind: (count: number) => Promise<number>;
  clock: Clock;
  trace: Trace;
  signal: AbortSignal;
  /** Stray copies can't arrive after this moment of the monotonic clock, ms. */
  strayUntilMs: number;
  /** Called when it has to wait, with the reason. */
  onWait: (why: string) => void;
}

/**
 * Settles `progress`: on return what is still in doubt may be sent again, with the same sequence. Gives the number of
 * records that the upstream had acknowledged and lost, and that are gone here too. Throws NOT_REACHABLE or
 * UPSTREAM_REFUSED when it could not find out: then nothing has changed.
 */
export async function settle(needs: SettleNeeds): Promise<{ lostRecords: number; isForeign: boolean }> {
  const { progress, upstream, place, trace } = needs;
  const verdict = judge(progress, await ask(needs));
  const where = { topic: place.topic, partition: place.partition };
  trace.debug('settling', { ...where, verdict: verdict.kind, sequence: progress.sequence });
  switch (verdict.kind) {
    case 'resend':
      break;
    case 'ahead': {
      const found = await prove(upstream, place, progress, verdict.count);
      if (found.count < verdict.count) throw unreachable(`${place.topic}/${place.partition}: not on all replicas yet`);
      onProven(progress, found.count, await needs.offsetBehind(found.count), found.upstreamNext);
      break;
    }
    case 'absent':
      if (await settleByReading(needs)) return disown(needs);
      break;
    case 'behind': {
      const { errorCode, value } = await upstream.offsetAt(
        place.leader,
        place.topic,
        place.partition,
        LATEST_TIMESTAMP,
      );
      if (errorCode !== KafkaError.NONE) throw refusalOf(errorCode, 'may not ask for its end');
      const lostRecords = onLost(progress, verdict.count, needs.logStart, value);
      trace.error('upstream lost what it had acknowledged', { ...where, records: verdict.count, lostRecords });
      return { lostRecords, isForeign: false };
    }
    case 'foreign':
      return disown(needs);
  }
  return { lostRecords: 0, isForeign: false };
}

/** Another node used our producer id, as a copied card does: what we have goes out anew under a fresh one. */
function disown({ progress, place, trace }: SettleNeeds): { lostRecords: number; isForeign: boolean } {
  abandon(progress);
  trace.error('upstream holds records of this producer id that this node did not send', {
    topic: place.topic,
    partition: place.partition,
  });
  return { lostRecords: 0, isForeign: true };
}

async function ask({ upstream, place, progress }: SettleNeeds): Promise<Remembered | undefined> {
  const answer = await upstream.describeProducers(place.leader, place.topic, place.partition);
  if (answer === undefined) return undefined;
  if (answer.errorCode !== KafkaError.NONE) throw refusalOf(answer.errorCode, 'may not ask for its producers (READ)');
  return answer.value.find(({ producerId }) => producerId === progress.producerId);
}

/** True when it found more than this node can have sent. */
async function settleByReading(needs: SettleNeeds): Promise<boolean> {
  const { progress, upstream, place, clock, signal } = needs;
  const waitMs = needs.strayUntilMs - clock.monotonicMs();
  if (progress.doubt?.isStray === true && waitMs > 0) {
    needs.onWait('upstream has forgotten the producer id: waiting until no stray copy can arrive');
    await clock.sleep(waitMs, signal);
    if (signal.aborted) throw unreachable('headwater closes');
  }
  const found = await readBack(upstream, place, progress);
  if (found.count > (progress.doubt?.count ?? 0)) return true;
  if (progress.doubt !== undefined) progress.doubt.isStray = false;
  if (found.count > 0) {
    onProven(progress, found.count, await needs.offsetBehind(found.count), found.upstreamNext);
  }
  return false;
}
