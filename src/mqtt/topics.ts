// MQTT topics and filters (MQTT 3.1.1 section 4.7): what a name may be, which filters match a topic, and which topics a
// filter matches. Pure. Trees are made of Maps, level by level, so that no name a client invents meets a prototype.

import { isUtf8 } from 'node:buffer';

export interface NameBounds {
  topicBytesMax: number;
  topicLevelsMax: number;
}

export type NameFault = 'empty' | 'too long' | 'too many levels' | 'wildcard' | 'control character' | 'not UTF-8';

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;

/**
 * Why `bytes[start, end)` cannot be the topic of a PUBLISH, or undefined if it can. Control characters are refused: MQTT
 * leaves that to the server, and names end up in logs, terminals and file names.
 */
export function topicFault(bytes: Buffer, start: number, end: number, bounds: NameBounds): NameFault | undefined {
  const fault = nameFault(bytes, start, end, bounds);
  if (fault !== undefined) return fault;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === PLUS || byte === HASH) return 'wildcard';
  }
  return undefined;
}

/** Why `bytes[start, end)` cannot be a topic filter, or undefined if it can. */
export function filterFault(bytes: Buffer, start: number, end: number, bounds: NameBounds): NameFault | undefined {
  const fault = nameFault(bytes, start, end, bounds);
  if (fault !== undefined) return fault;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte !== PLUS && byte !== HASH) continue;
    const isAlone = (at === start || bytes[at - 1] === SLASH) && (at + 1 === end || bytes[at + 1] === SLASH);
    if (!isAlone || (byte === HASH && at + 1 !== end)) return 'wildcard';
  }
  return undefined;
}

function nameFault(bytes: Buffer, start: number, end: number, bounds: NameBounds): NameFault | undefined {
  if (end === start) return 'empty';
  if (end - start > bounds.topicBytesMax) return 'too long';
  const fault = textFault(bytes, start, end);
  if (fault !== undefined) return fault;
  let levels = 1;
  for (let at = start; at < end; at++) if (bytes[at] === SLASH) levels += 1;
  return levels > bounds.topicLevelsMax ? 'too many levels' : undefined;
}

/** Why `bytes[start, end)` is not a text that may name something: a control character (C0, DEL, C1), or not UTF-8. */
export function textFault(bytes: Buffer, start: number, end: number): 'control character' | 'not UTF-8' | undefined {
  let isAscii = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte === 0x7f) return 'control character';
    if (byte < 0x80) continue;
    isAscii = false;
    // U+0080 to U+009F are C2 80 to C2 9F.
    if (byte === 0xc2 && at + 1 < end && bytes[at + 1]! < 0xa0) return 'control character';
  }
  return isAscii || isUtf8(bytes.subarray(start, end)) ? undefined : 'not UTF-8';
}

/** True when `filter` matches `topic`. A filter that begins with a wildcard does not match topics that begin with $. */
export function isMatch(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  if (!isWildcard(filter)) return false;
  const levels = filter.split('/');
  const names = topic.split('/');
  if (topic.startsWith('$') && (levels[0] === '+' || levels[0] === '#')) return false;
  for (let index = 0; index < levels.length; index++) {
    if (levels[index] === '#') return true;
    if (index >= names.length || (levels[index] !== '+' && levels[index] !== names[index])) return false;
  }
  return levels.length === names.length;
}

export function isWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

interface FilterNode<Value> {
  children: Map<string, FilterNode<Value>>;
  values: Set<Value>;
}

/** Filters with the values that were put under them: whom a topic concerns. */
export interface FilterTree<Value> {
  /** Grows with each change, so that an answer may be remembered until then. */
  readonly generation: number;
  isEmpty(): boolean;
  add(filter: string, value: Value): void;
  remove(filter: string, value: Value): void;
  has(topic: string): boolean;
  /** Calls `visit` once for each filter that matches and each value under it. */
  match(topic: string, visit: (value: Value) => void): void;
}

export function createFilterTree<Value>(): FilterTree<Value> {
  const root: FilterNode<Value> = { children: new Map(), values: new Set() };
  let generation = 0;

  /** Walks the nodes that match; stops and returns true as soon as `visit` returns true. */
  function walk(
    node: FilterNode<Value>,
    levels: string[],
    index: number,
    visit: (values: Set<Value>) => boolean,
  ): boolean {
    const takesWildcards = index > 0 || !levels[0]!.startsWith('$');
    const rest = takesWildcards ? node.children.get('#') : undefined;
    if (rest !== undefined && visit(rest.values)) return true;
    const level = levels[index];
    if (level === undefined) return visit(node.values);
    const exact = node.children.get(level);
    if (exact !== undefined && walk(exact, levels, index + 1, visit)) return true;
    const any = takesWildcards ? node.children.get('+') : undefined;
    return any !== undefined && walk(any, levels, index + 1, visit);
  }

  function remove(filter: string, value: Value): void {
    const path: [FilterNode<Value>, string][] = [];
    let node = root;
    for (const level of filter.split('/')) {
      const child = node.children.get(level);
      if (child === undefined) return;
      path.push([node, level]);
      node = child;
    }
    if (node.values.delete(value)) generation += 1;
    for (const [parent, level] of path.toReversed()) {
      const child = parent.children.get(level)!;
      if (child.values.size > 0 || child.children.size > 0) return;
      parent.children.delete(level);
    }
  }

  return {
    get generation() {
      return generation;
    },
    isEmpty: () => root.children.size === 0,
    add(filter, value) {
      let node = root;
      for (const level of filter.split('/')) {
        let child = node.children.get(level);
        if (child === undefined) node.children.set(level, (child = { children: new Map(), values: new Set() }));
        node = child;
      }
      node.values.add(value);
      generation += 1;
    },
    remove,
    has: (topic) => root.children.size > 0 && walk(root, topic.split('/'), 0, (values) => values.size > 0),
    match(topic, visit) {
      if (root.children.size === 0) return;
      walk(root, topic.split('/'), 0, (values) => {
        for (const value of values) visit(value);
        return false;
      });
    },
  };
}

interface TopicNode {
  children: Map<string, TopicNode>;
  /** The whole name, when a topic ends here. */
  topic: string | undefined;
}

/** A set of topics that can be asked by filter. */
export interface TopicTree {
  readonly size: number;
  add(topic: string): void;
  remove(topic: string): void;
  has(topic: string): boolean;
  /** All topics that `filter` matches. */
  match(filter: string): Generator<string>;
}

export function createTopicTree(): TopicTree {
  const root: TopicNode = { children: new Map(), topic: undefined };
  const all = new Set<string>();

  function* walk(node: TopicNode, levels: string[], index: number): Generator<string> {
    const level = levels[index];
    if (level === undefined) {
      if (node.topic !== undefined) yield node.topic;
    } else if (level === '#') {
      yield* everything(node, index === 0);
    } else if (level === '+') {
      for (const [name, child] of node.children) {
        if (index > 0 || !name.startsWith('$')) yield* walk(child, levels, index + 1);
      }
    } else {
      const child = node.children.get(level);
      if (child !== undefined) yield* walk(child, levels, index + 1);
    }
  }

  function* everything(node: TopicNode, isRoot: boolean): Generator<string> {
    if (node.topic !== undefined) yield node.topic;
    for (const [name, child] of node.children) {
      if (!isRoot || !name.startsWith('$')) yield* everything(child, false);
    }
  }

  return {
    get size() {
      return all.size;
    },
    has: (topic) => all.has(topic),
    add(topic) {
      all.add(topic);
      let node = root;
      for (const level of topic.split('/')) {
        let child = node.children.get(level);
        if (child === undefined) node.children.set(level, (child = { children: new Map(), topic: undefined }));
        node = child;
      }
      node.topic = topic;
    },
    remove(topic) {
      if (!all.delete(topic)) return;
      const path: [TopicNode, string][] = [];
      let node = root;
      for (const level of topic.split('/')) {
        path.push([node, level]);
        node = node.children.get(level)!;
      }
      node.topic = undefined;
      for (const [parent, level] of path.toReversed()) {
        const child = parent.children.get(level)!;
        if (child.topic !== undefined || child.children.size > 0) return;
        parent.children.delete(level);
      }
    },
    match: (filter) => walk(root, filter.split('/'), 0),
  };
}
