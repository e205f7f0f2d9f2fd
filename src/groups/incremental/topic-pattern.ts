// Expressions for topics in the words of RE2, as Kafka's brokers take them: the whole name must match. A client's
// expression must not be able to hold the node up, so it is run as a set of states, a step for each character of a name,
// and its size has a bound. (JavaScript's own expressions go back and try again, for hours where somebody wants that.)
//
// Known: literals, `.`, classes with ranges and escapes, \d \w \s and their opposites, groups of all kinds, `|`, `* + ?
// {n,m}` also with `?` behind, ^ and $, \A and \z, \Q...\E, (?i) and (?s). What is not is said when it is compiled.

export class PatternError extends Error {}

type Test = (code: number) => boolean;

type Node =
  | { kind: 'char'; test: Test }
  | { kind: 'start' | 'end' }
  | { kind: 'all' | 'any'; parts: Node[] }
  | { kind: 'repeat'; part: Node; min: number; max: number };

type State =
  { test: Test; next: number } | { at: 'start' | 'end'; next: number } | { either: number; or: number } | null;

const PATTERN_LENGTH_MAX = 1000;
const STATES_MAX = 500;
const REPEAT_MAX = 1000;

/** Whether a name matches. Throws PatternError with words for the person who wrote the pattern. */
export function matcherOf(pattern: string): (name: string) => boolean {
  if (pattern.length > PATTERN_LENGTH_MAX) throw new PatternError(`longer than ${PATTERN_LENGTH_MAX} characters`);
  const states: State[] = [null];
  const first = compile(new Parser(pattern).whole(), 0, states);
  return (name) => runs(states, first, name);
}

function compile(node: Node, next: number, states: State[]): number {
  const add = (state: State): number => {
    if (states.length >= STATES_MAX) throw new PatternError('too large: its repetitions multiply');
    return states.push(state) - 1;
  };
  switch (node.kind) {
    case 'char':
      return add({ test: node.test, next });
    case 'start':
    case 'end':
      return add({ at: node.kind, next });
    case 'all':
      return node.parts.reduceRight((to, part) => compile(part, to, states), next);
    case 'any': {
      const [first, ...others] = node.parts.map((part) => compile(part, next, states));
      return others.reduce((either, or) => add({ either, or }), first!);
    }
    case 'repeat':
    default:
      return repeat(node, next, states, add);
  }
}

function repeat(
  { part, min, max }: Node & { kind: 'repeat' },
  next: number,
  states: State[],
  add: (state: State) => number,
): number {
  let entry = next;
  if (max === Infinity) {
    const loop = { either: 0, or: next };
    entry = add(loop);
    loop.either = compile(part, entry, states);
  } else {
    for (let count = min; count < max; count++) entry = add({ either: compile(part, entry, states), or: next });
  }
  for (let count = 0; count < min; count++) entry = compile(part, entry, states);
  return entry;
}

function runs(states: readonly State[], first: number, name: string): boolean {
  let here = new Set<number>();
  const enter = (from: number, into: Set<number>, at: number): void => {
    const waiting = [from];
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      if (into.has(index)) continue;
      into.add(index);
      const state = states[index]!;
      if (state === null || 'test' in state) continue;
      if ('either' in state) waiting.push(state.either, state.or);
      else if (at === (state.at === 'start' ? 0 : name.length)) waiting.push(state.next);
    }
  };
  enter(first, here, 0);
  for (let at = 0; at < name.length && here.size > 0; at++) {
    const code = name.charCodeAt(at);
    const then = new Set<number>();
    for (const index of here) {
      const state = states[index]!;
      if (state !== null && 'test' in state && state.test(code)) enter(state.next, then, at + 1);
    }
    here = then;
  }
  return here.has(0);
}

const isDigit: Test = (code) => code >= 0x30 && code <= 0x39;
const isWord: Test = (code) => isDigit(code) || code === 0x5f || isLetter(code);
const isLetter: Test = (code) => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
const isSpace: Test = (code) => code === 0x20 || (code >= 0x09 && code <= 0x0d);
const not =
  (test: Test): Test =>
  (code) =>
    !test(code);

const CLASSES: ReadonlyMap<string, Test> = new Map([
  ['d', isDigit],
  ['D', not(isDigit)],
  ['w', isWord],
  ['W', not(isWord)],
  ['s', isSpace],
  ['S', not(isSpace)],
]);
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
  ['v', 11],
]);

class Parser {
  readonly #text: string;
  #at = 0;
  #ignoresCase = false;
  #dotTakesAll = false;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#text.length) throw new PatternError(`") without (" at ${this.#at}`);
    return node;
  }

  #takes(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #alternatives(): Node {
    const [ignoresCase, dotTakesAll] = [this.#ignoresCase, this.#dotTakesAll];
    const parts = [this.#sequence()];
    while (this.#takes('|')) parts.push(this.#sequence());
    [this.#ignoresCase, this.#dotTakesAll] = [ignoresCase, dotTakesAll];
    return { kind: 'any', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]!)) {
      if (this.#takes('\\Q')) parts.push(...this.#quoted());
      else parts.push(this.#repeated());
    }
    return { kind: 'all', parts };
  }

  #quoted(): Node[] {
    const end = this.#text.indexOf('\\E', this.#at);
    const text = end === -1 ? this.#text.slice(this.#at) : this.#text.slice(this.#at, end);
    this.#at = end === -1 ? this.#text.length : end + 2;
    return Array.from(text, (letter) => this.#literal(letter.charCodeAt(0)));
  }

  #repeated(): Node {
    const part = this.#atom();
    const times = this.#times();
    if (times === undefined) return part;
    this.#takes('?');
    if (this.#times() !== undefined) throw new PatternError(`a repetition of a repetition at ${this.#at}`);
    return { kind: 'repeat', part, ...times };
  }

  #times(): { min: number; max: number } | undefined {
    if (this.#takes('*')) return { min: 0, max: Infinity };
    if (this.#takes('+')) return { min: 1, max: Infinity };
    if (this.#takes('?')) return { min: 0, max: 1 };
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 20));
    if (match === null) return undefined;
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3]);
    if (min > max || min > REPEAT_MAX) throw new PatternError(`${match[0]} is no repetition, or one of too many`);
    return { min, max };
  }

  #atom(): Node {
    const letter = this.#text[this.#at++]!;
    switch (letter) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'char', test: this.#class() };
      case '.':
        return { kind: 'char', test: this.#dotTakesAll ? () => true : (code) => code !== 10 };
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        throw new PatternError(`nothing to repeat at ${this.#at - 1}`);
      default:
        return this.#literal(letter.charCodeAt(0));
    }
  }

  #group(): Node {
    const named = /^\?P?<\w+>/.exec(this.#text.slice(this.#at, this.#at + 100));
    const flags = /^\?([is]*)(-[is]+)?([:)])/.exec(this.#text.slice(this.#at, this.#at + 20));
    const before = [this.#ignoresCase, this.#dotTakesAll] as const;
    if (named !== null) this.#at += named[0].length;
    else if (flags !== null) {
      this.#at += flags[0].length;
      this.#setFlags(flags[1]!, true);
      this.#setFlags(flags[2] ?? '', false);
      // Until the end of the group that it stands in.
      if (flags[3] === ')') return { kind: 'all', parts: [] };
    } else if (this.#text[this.#at] === '?') {
      throw new PatternError(`a group that is not known at ${this.#at - 1}`);
    }
    const node = this.#alternatives();
    [this.#ignoresCase, this.#dotTakesAll] = before;
    if (!this.#takes(')')) throw new PatternError('( without )');
    return node;
  }

  #setFlags(flags: string, value: boolean): void {
    if (flags.includes('i')) this.#ignoresCase = value;
    if (flags.includes('s')) this.#dotTakesAll = value;
  }

  #literal(wanted: number): Node {
    if (!this.#ignoresCase || !isLetter(wanted)) return { kind: 'char', test: (code) => code === wanted };
    return { kind: 'char', test: (code) => isLetter(code) && (code | 0x20) === (wanted | 0x20) };
  }

  #escape(): Node {
    const letter = this.#text[this.#at];
    if (letter === 'A' || letter === 'z') {
      this.#at += 1;
      return { kind: letter === 'A' ? 'start' : 'end' };
    }
    const found = this.#escaped();
    return typeof found === 'number' ? this.#literal(found) : { kind: 'char', test: found };
  }

  /** What stands behind a backslash: one character, or a class of them. */
  #escaped(): number | Test {
    const letter = this.#text[this.#at++] ?? '';
    const known = CLASSES.get(letter) ?? CONTROLS.get(letter);
    if (known !== undefined) return known;
    const hex = /^x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,4})\})/.exec(this.#text.slice(this.#at - 1, this.#at + 8));
    if (hex !== null) {
      this.#at += hex[0].length - 1;
      return Number.parseInt(hex[1] ?? hex[2]!, 16);
    }
    if (letter === '' || isWord(letter.charCodeAt(0))) throw new PatternError(`\\${letter} is not known`);
    return letter.charCodeAt(0);
  }

  #class(): Test {
    const isOpposite = this.#takes('^');
    const tests: Test[] = [];
    for (let isFirst = true; isFirst || this.#text[this.#at] !== ']'; isFirst = false) {
      const from = this.#classPart();
      const isRange = typeof from === 'number' && this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']';
      if (isRange) this.#at += 1;
      const to = isRange ? this.#classPart() : from;
      if (typeof from !== 'number') tests.push(from);
      else if (typeof to !== 'number' || to < from) throw new PatternError(`no range before ${this.#at}`);
      else tests.push(this.#between(from, to));
    }
    this.#at += 1;
    return isOpposite ? (code) => !tests.some((test) => test(code)) : (code) => tests.some((test) => test(code));
  }

  #classPart(): number | Test {
    if (this.#at >= this.#text.length) throw new PatternError('[ without ]');
    if (this.#text.startsWith('[:', this.#at)) throw new PatternError('classes like [:alpha:] are not known');
    if (this.#takes('\\')) return this.#escaped();
    return this.#text.charCodeAt(this.#at++);
  }

  #between(from: number, to: number): Test {
    const plain: Test = (code) => code >= from && code <= to;
    if (!this.#ignoresCase) return plain;
    return (code) => plain(code) || (isLetter(code) && plain(code ^ 0x20));
  }
}
