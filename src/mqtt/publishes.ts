// What a client publishes: PUBLISH and PUBREL (MQTT 3.1.1 sections 3.3 and 3.6) of one connection. aedes sees neither. This
// is the hot path, some microseconds a message: nothing is awaited, topics are remembered, and the
// acknowledgement is a number that waits for the commit (acks.ts).
//
//   PUBLISH body   topic length u16 | topic | packet id u16, for QoS 1 and 2 | payload, to the end
//   flags          dup 8 | QoS 6 | retain 1
//
// A message nobody subscribes to goes to the log and nowhere else. One that somebody wants is routed after its commit, or
// at once for QoS 0. What no rule takes is routed only.

import { crc32c } from '../formats/checksum.ts';
import { isHeadwaterError } from '../errors.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Acks } from './acks.ts';
import { PUBACK, PUBCOMP, PUBREC, type Frame } from './frames.ts';
import type { Mark, Marks } from './marks.ts';
import type { Message } from './message.ts';
import type { Router } from './routing.ts';
import type { KnownTopic, TopicCache } from './topic-cache.ts';

/** Why a packet is refused, in a few fixed words for the metrics. The connection is closed: 3.1.1 has no other answer. */
export type Refused = 'malformed' | 'topic' | 'inflight' | 'record';

export interface PublishCounts {
  records: number;
  bytes: number;
  unrouted: number;
}

export interface PublishNeeds {
  intake: Intake;
  router: Router;
  marks: Marks;
  topics: TopicCache;
  counts: PublishCounts;
}

export interface Publisher {
  clientId: string;
  /** False for a clean session: its QoS 2 ids end with the connection. */
  isPersistent: boolean;
}

export interface Publishes {
  /** Takes a PUBLISH whose frame is whole; what it keeps is a copy. Says why it is refused, if it is; nothing is kept then. */
  publish(bytes: Buffer, frame: Frame): Refused | undefined;
  /** Whether the last message is of no use to anybody before its commit. */
  readonly isPatient: boolean;
  /** Takes a PUBREL. */
  release(packetId: number): Refused | undefined;
  /** More about the last refusal, for a line of trace. */
  readonly detail: string;
}

const NO_TOPIC: KnownTopic = { text: '', isWanted: false, wantedAt: -1 };

export function createPublishes(needs: PublishNeeds, acks: Acks, publisher: Publisher): Publishes {
  const { intake, router, marks, topics, counts } = needs;
  let topic = NO_TOPIC;
  let isPatient = false;
  let detail = '';

  function publish(bytes: Buffer, frame: Frame): Refused | undefined {
    const { flags, bodyStart, end } = frame;
    isPatient = false;
    const qos = (flags >> 1) & 3;
    const topicStart = bodyStart + 2;
    if (topicStart > end || qos === 3 || (qos === 0 && (flags & 8) !== 0)) return refuse('malformed', 'PUBLISH flags');
    const topicEnd = topicStart + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!);
    const payloadStart = qos === 0 ? topicEnd : topicEnd + 2;
    if (payloadStart > end) return refuse('malformed', 'PUBLISH length');
    const packetId = qos === 0 ? 0 : (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
    if (qos !== 0 && packetId === 0) return refuse('malformed', 'packet id 0');
    const known = topics.find(bytes, topicStart, topicEnd);
    if (typeof known === 'string') return refuse('topic', known);
    topic = known;
    const payload = bytes.subarray(payloadStart, end);
    if (qos === 2) return takeOnce(packetId, payload, (flags & 1) !== 0, crc32c(bytes.subarray(topicStart, end)));
    return take(qos, packetId, payload, (flags & 1) !== 0);
  }

  function take(qos: number, packetId: number, payload: Buffer, isRetain: boolean): Refused | undefined {
    const hasTakers = isRetain || hasSubscribers(topic);
    const commit = accept(payload, undefined);
    if (commit === null) return 'record';
    isPatient = commit !== undefined && (qos === 1 || !hasTakers);
    if (!hasTakers) {
      if (qos === 1) acks.add(PUBACK, packetId, commit);
    } else if (qos === 1) acks.addRouted(PUBACK, packetId, commit, messageOf(1, payload, isRetain, undefined));
    else router.deliver(messageOf(0, payload, isRetain, undefined));
    return undefined;
  }

  /** QoS 2: exactly once, also if the client sends it again on another connection or after a crash. */
  function takeOnce(packetId: number, payload: Buffer, isRetain: boolean, content: number): Refused | undefined {
    const hasTakers = isRetain || hasSubscribers(topic);
    const known = marks.find(publisher.clientId, packetId);
    if (known !== undefined && !marks.replace(known, content)) {
      if (hasTakers && known.needsRouting) {
        known.needsRouting = false;
        acks.addRouted(PUBREC, packetId, known.commit, messageOf(2, payload, isRetain, known));
      } else acks.add(PUBREC, packetId, known.commit);
      return undefined;
    }
    if (marks.isFull(publisher.clientId)) return refuse('inflight', 'QoS 2 messages without PUBREL');
    const mark = marks.create(publisher.clientId, packetId, publisher.isPersistent, content);
    const commit = accept(payload, mark);
    if (commit === null) return 'record';
    // Kept by nobody: there is nothing that could happen twice.
    if (commit === undefined && !hasTakers) {
      acks.add(PUBREC, packetId, undefined);
      return undefined;
    }
    marks.committing(mark, commit);
    if (hasTakers) acks.addRouted(PUBREC, packetId, mark.commit, messageOf(2, payload, isRetain, mark));
    else acks.add(PUBREC, packetId, mark.commit);
    return undefined;
  }

  /** The record's commit, undefined when no rule takes it, null when the log can never hold it. */
  function accept(payload: Buffer, mark: Mark | undefined): Commit | undefined | null {
    let commit: Commit | undefined;
    try {
      commit = intake.acceptMqtt(topic.text, payload, mark && marks.changesOf(mark));
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
      refuse('record', error.message);
      return null;
    }
    if (commit === undefined) counts.unrouted += 1;
    counts.records += 1;
    counts.bytes += payload.length;
    return commit;
  }

  function release(packetId: number): Refused | undefined {
    if (packetId === 0) return refuse('malformed', 'packet id 0');
    const mark = marks.find(publisher.clientId, packetId);
    acks.add(PUBCOMP, packetId, mark && marks.release(mark));
    return undefined;
  }

  function hasSubscribers(topic: KnownTopic): boolean {
    const generation = router.generation();
    if (topic.wantedAt !== generation) {
      topic.isWanted = router.isWanted(topic.text);
      topic.wantedAt = generation;
    }
    return topic.isWanted;
  }

  /** A message of its own: what was read is overwritten by the next read. */
  function messageOf(qos: 0 | 1 | 2, lent: Buffer, retain: boolean, mark: Mark | undefined): Message {
    const payload = Buffer.from(lent);
    return { topic: topic.text, payload, qos, retain, mark, counter: 0 };
  }

  function refuse(reason: Refused, why: string): Refused {
    detail = why;
    return reason;
  }

  return {
    publish,
    release,
    get isPatient() {
      return isPatient;
    },
    get detail() {
      return detail;
    },
  };
}
