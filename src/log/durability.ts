// What an acknowledgement of a topic's record means.
//
//   synced     (default) it is on the card; its commit waited for a credit
//   immediate  it is on the card; its commit waited for nothing, and the card pays for it
//   relaxed    it was taken; it is on the card, and can be read from the log, some seconds later (`commit.relaxed`), or is lost in a power
//              cut or a crash before. Who numbers records asks for exactly once: a batch of an idempotent producer is
//              acknowledged when it is on the card, whatever the topic says.

export const DURABILITIES = ['synced', 'immediate', 'relaxed'] as const;
export type Durability = (typeof DURABILITIES)[number];
