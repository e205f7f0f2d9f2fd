// What a member of protocol type `consumer` gives as metadata: Kafka's ConsumerProtocolSubscription, of which only the
// topics are read here. All versions begin the same:
//
//   version int16 | topics: count int32, each int16 length and UTF-8 | user data ...

import { isHeadwaterError } from '../../errors.ts';
import { ByteReader } from '../bytes.ts';

/** Topics that the member wants; none where the metadata is something else. */
export function subscribedTopics(metadata: Buffer): string[] {
  try {
    const reader = new ByteReader(metadata);
    reader.int16();
    const topics: string[] = [];
    for (let left = reader.int32(); left > 0; left--) topics.push(reader.bytes(reader.int16()).toString('utf8'));
    return topics;
  } catch (error) {
    if (isHeadwaterError(error, 'FORMAT_TRUNCATED') || isHeadwaterError(error, 'FORMAT_CORRUPT')) return [];
    throw error;
  }
}
