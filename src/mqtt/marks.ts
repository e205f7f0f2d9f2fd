// Packet ids of QoS 2 messages between their PUBLISH and their PUBREL (MQTT 3.1.1 section 4.3.3). For a persistent session
// each is a mark of the log, kept by the same commit as the record: after a crash a retransmitted PUBLISH meets it, and
// its removal is on the card before PUBCOMP leaves. A clean session ends with the crash, so its ids stay in memory.
//
//   key    mqtt/<client id>/<packet id, decimal>        value   CRC-32C of topic, packet id and payload, u32BE
//
//   (none) --PUBLISH--> committing --record and mark are on the card--> taken --PUBREL--> releasing --removed--> (none)
//
// A client may use an id again whose removal was lost with a damaged card: the same id with other contents is another
// message, as it is for Mosquitto, and is not taken for one that was sent again.
//
// Bounded a client and in all: a publisher that exceeds the bound without ever sending PUBREL is closed by its connection.

import type { HeadwaterError } from '../errors.ts';
import type { Commit } from '../log/log.ts';

/** What the door needs of the log: marks are atomic with the records accepted in the same synchronous turn. */
export interface MarkStore {
  /** Sets or removes (null) a mark. */
  set(key: string, value: Buffer | null): Commit;
  /** Marks whose key starts with `prefix`, as of the last commit. */
  entries(prefix: string): Iterable<[key: string, value: Buffer]>;
}

export interface Mark {
  readonly clientId: string;
  readonly packetId: number;
  /** CRC-32C of the message; undefined when the card does not say. */
  readonly content: number | undefined;
  /** Undefined for a clean session: nothing on the card. */
  readonly key: string | undefined;
  state: 'committing' | 'taken' | 'releasing';
  /** What the PUBREC, or the PUBCOMP, waits for. */
  commit: Commit | undefined;
  /** The record is in the log, but the message has not reached the MQTT subscribers' queues: a crash came between. */
  needsRouting: boolean;
  /** Nobody will ask for it again. */
  isGone: boolean;
}

export type MarkChanges = [key: string, value: Buffer | null][];

export interface Marks {
  find(clientId: string, packetId: number): Mark | undefined;
  /** True when this client, or all together, hold as many as they may. */
  isFull(clientId: string): boolean;
  /** A mark that is about to be committed: hand `changesOf` to the intake and then call `committing`. */
  create(clientId: string, packetId: number, isPersistent: boolean, content: number): Mark;
  /** Forgets a mark that belongs to another message than the one with this content; false when it may be the same. */
  replace(mark: Mark, content: number): boolean;
  changesOf(mark: Mark): MarkChanges;
  /** Joins the mark to the commit of its record; without a record (no rule took it) to a commit of its own. */
  committing(mark: Mark, commit: Commit | undefined): void;
  /** Removes a mark; returns the commit that PUBCOMP has to wait for, or undefined when there is none. */
  release(mark: Mark): Commit | undefined;
  /** The session is gone: so are its ids. */
  dropClient(clientId: string): void;
  clients(): Iterable<string>;
  count(): number;
}

export interface MarksNeeds {
  store: MarkStore;
  perClientMax: number;
  totalMax: number;
  /** Tells whether a mark found at the start belongs to a message that had reached the subscribers' queues. */
  wasRouted: (clientId: string, packetId: number) => boolean;
  /** A mark is gone, and with it what was kept beside it. */
  onGone: (mark: Mark) => void;
}

const PREFIX = 'mqtt/';

function valueOf({ content = 0 }: Mark): Buffer {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(content);
  return value;
}

export function openMarks(needs: MarksNeeds): Marks {
  const { store } = needs;
  const clients = new Map<string, Map<number, Mark>>();
  let total = 0;

  function put(mark: Mark): Mark {
    let ids = clients.get(mark.clientId);
    if (ids === undefined) clients.set(mark.clientId, (ids = new Map()));
    ids.set(mark.packetId, mark);
    total += 1;
    return mark;
  }

  function forget(mark: Mark): void {
    const ids = clients.get(mark.clientId);
    if (ids?.get(mark.packetId) !== mark) return;
    ids.delete(mark.packetId);
    total -= 1;
    if (ids.size === 0) clients.delete(mark.clientId);
    leave(mark);
  }

  function leave(mark: Mark): void {
    mark.isGone = true;
    needs.onGone(mark);
  }

  function committing(mark: Mark, recordCommit: Commit | undefined): void {
    const commit = recordCommit ?? (mark.key === undefined ? undefined : store.set(mark.key, valueOf(mark)));
    put(mark);
    if (commit === undefined) {
      mark.state = 'taken';
      return;
    }
    mark.commit = commit;
    commit.whenDone((error?: HeadwaterError) => {
      if (mark.state !== 'committing') return;
      mark.commit = undefined;
      if (error === undefined) mark.state = 'taken';
      else forget(mark);
    });
  }

  function release(mark: Mark): Commit | undefined {
    if (mark.state === 'releasing') return mark.commit;
    if (mark.key === undefined) {
      // The record may still be on its way; PUBCOMP waits for it as PUBREC does.
      forget(mark);
      return mark.commit;
    }
    const commit = store.set(mark.key, null);
    mark.state = 'releasing';
    mark.commit = commit;
    commit.whenDone((error?: HeadwaterError) => {
      if (error === undefined) {
        forget(mark);
        return;
      }
      // The mark is still on the card: the client will send PUBREL again.
      mark.state = 'taken';
      mark.commit = undefined;
    });
    return commit;
  }

  for (const [key, value] of store.entries(PREFIX)) {
    const slash = key.lastIndexOf('/');
    const clientId = key.slice(PREFIX.length, slash);
    const packetId = Number(key.slice(slash + 1));
    const needsRouting = !needs.wasRouted(clientId, packetId);
    const content = value.length === 4 ? value.readUInt32BE(0) : undefined;
    put({ clientId, packetId, content, key, state: 'taken', commit: undefined, needsRouting, isGone: false });
  }

  return {
    find: (clientId, packetId) => clients.get(clientId)?.get(packetId),
    isFull: (clientId) => total >= needs.totalMax || (clients.get(clientId)?.size ?? 0) >= needs.perClientMax,
    create(clientId, packetId, isPersistent, content) {
      const key = isPersistent ? `${PREFIX}${clientId}/${packetId}` : undefined;
      const state = 'committing';
      return { clientId, packetId, content, key, state, commit: undefined, needsRouting: false, isGone: false };
    },
    replace(mark, content) {
      if (mark.state !== 'taken' || mark.content === undefined || mark.content === content) return false;
      if (mark.key !== undefined) store.set(mark.key, null);
      forget(mark);
      return true;
    },
    changesOf: (mark) => (mark.key === undefined ? [] : [[mark.key, valueOf(mark)]]),
    committing,
    release,
    dropClient(clientId) {
      const ids = clients.get(clientId);
      if (ids === undefined) return;
      clients.delete(clientId);
      total -= ids.size;
      for (const mark of ids.values()) {
        if (mark.key !== undefined) store.set(mark.key, null);
        leave(mark);
      }
    },
    clients: () => clients.keys(),
    count: () => total,
  };
}
