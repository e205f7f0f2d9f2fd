// Acknowledgements that one connection owes, in the order of the packets they answer [MQTT-4.6.0-2 to 4.6.0-4]. Each waits
// for a commit; all that wait for the same commit are one group: one callback, and one write to the socket.
//
//   gathering --commit done--> routing (if MQTT subscribers want some of it) --> settled --all before it settled--> written
//
// A connection that goes away changes nothing but the writing: what was committed is still routed.

import type { HeadwaterError } from '../errors.ts';
import type { Commit } from '../log/log.ts';
import type { Message } from './message.ts';

export interface Acks {
  /** Owes an acknowledgement. Without a commit it waits for those before it only. */
  add(type: number, packetId: number, commit: Commit | undefined): void;
  /** Owes one that waits for its message to be routed too, once `commit` (if any) is done. */
  addRouted(type: number, packetId: number, commit: Commit | undefined, message: Message): void;
  /** Writes what waits for nothing. Called at the end of each run over what was read. */
  flush(): void;
  /** How many are owed. */
  count(): number;
  /** Resolves when none is owed. */
  whenIdle(): Promise<void>;
}

export interface AcksNeeds {
  /** Writes whole packets; does nothing when the connection is gone. */
  write: (bytes: Buffer) => void;
  route: (messages: Message[], done: (error?: Error) => void) => void;
  /** A commit failed, or routing did: what it would have answered must be sent again by the client. */
  onFailure: (error: Error) => void;
  /** Some were written: there may be room for more. */
  onWritten: () => void;
}

interface Group {
  commit: Commit | undefined;
  /** Each a whole packet of four bytes, as a number. */
  words: number[];
  messages: Message[] | undefined;
  state: 'gathering' | 'routing' | 'settled';
}

export function createAcks(needs: AcksNeeds): Acks {
  const groups: Group[] = [];
  let ready: number[] = [];
  let owed = 0;
  let idleWaiters: (() => void)[] = [];

  function add(type: number, packetId: number, commit: Commit | undefined): void {
    const word = wordOf(type, packetId);
    const last = groups.at(-1);
    owed += 1;
    // What waits for nothing of its own rides with the last group.
    if (last !== undefined && (commit === undefined || last.commit === commit)) last.words.push(word);
    else if (commit === undefined) ready.push(word);
    else open(commit, word, undefined);
  }

  function addRouted(type: number, packetId: number, commit: Commit | undefined, message: Message): void {
    const word = wordOf(type, packetId);
    const last = groups.at(-1);
    owed += 1;
    if (last?.state === 'gathering' && (commit === undefined || last.commit === commit)) {
      last.words.push(word);
      if (last.messages === undefined) last.messages = [message];
      else last.messages.push(message);
    } else open(commit, word, message);
  }

  function open(commit: Commit | undefined, word: number, message: Message | undefined): void {
    const group: Group = { commit, words: [word], messages: message && [message], state: 'gathering' };
    groups.push(group);
    commit?.whenDone((error?: HeadwaterError) => committed(group, error));
  }

  function committed(group: Group, error: Error | undefined): void {
    if (error !== undefined || group.messages === undefined) {
      settle(group, error);
      return;
    }
    const messages = group.messages;
    group.state = 'routing';
    needs.route(messages, (error?: Error) => {
      // The log has these records, so a retransmission is only routed.
      if (error !== undefined) for (const { mark } of messages) if (mark !== undefined) mark.needsRouting = true;
      settle(group, error);
    });
  }

  function settle(group: Group, error: Error | undefined): void {
    group.state = 'settled';
    if (error !== undefined) {
      owed -= group.words.length;
      group.words = [];
      needs.onFailure(error);
    }
    while (groups[0]?.state === 'settled') for (const word of groups.shift()!.words) ready.push(word);
    write();
  }

  function write(): void {
    if (ready.length > 0) {
      const bytes = Buffer.allocUnsafe(4 * ready.length);
      for (let index = 0; index < ready.length; index++) bytes.writeUInt32BE(ready[index]!, 4 * index);
      owed -= ready.length;
      ready = [];
      needs.write(bytes);
      needs.onWritten();
    }
    if (owed > 0 || idleWaiters.length === 0) return;
    for (const waiter of idleWaiters) waiter();
    idleWaiters = [];
  }

  function flush(): void {
    // Routing may settle groups at once, and then they leave the list.
    const unbound = groups.filter((group) => group.commit === undefined && group.state === 'gathering');
    for (const group of unbound) committed(group, undefined);
    write();
  }

  return {
    add,
    addRouted,
    flush() {
      if (groups.length > 0 || ready.length > 0) flush();
    },
    count: () => owed,
    whenIdle: () => (owed === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve))),
  };
}

/** A whole acknowledgement, which is always four bytes: type and flags 0, remaining length 2, packet id. */
function wordOf(type: number, packetId: number): number {
  return type * 0x10000000 + 0x20000 + packetId;
}
