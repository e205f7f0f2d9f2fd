// One message on its way from a publisher to MQTT subscribers, after the log has it.

import type { Mark } from './marks.ts';

export interface Message {
  topic: string;
  /** Its own bytes, never changed. */
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
  /** QoS 2: the publisher's mark, so that a routed message is not routed again after a crash. */
  mark: Mark | undefined;
  /** Grows with each message that is routed; 0 until then. */
  counter: number;
}
