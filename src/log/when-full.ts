// What a topic does when the budget is reached and nothing is left that may go without loss.
//
//   refuse       (default) its records stay: who publishes is held back, in the words of its protocol, until there is room
//   drop-oldest  its oldest records go, a whole segment at a time, sent or not; what went is told as a gap

export const WHEN_FULL = ['refuse', 'drop-oldest'] as const;
export type WhenFull = (typeof WHEN_FULL)[number];
