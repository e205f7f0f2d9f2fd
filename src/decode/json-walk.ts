// Finds values in JSON text without changing a byte of them: numbers keep every digit that the device wrote. The text must
// be valid (JSON.parse took it); then no place that is looked at can be missing. Pure.

/** Where to look: names, or indices of lists, and the number of the slot that takes the value's place. */
export interface Target {
  slot: number | undefined;
  inner: Map<string, Target>;
}

/** Begin and end of each slot's value, two numbers each; -1 where there is none. */
export type Slots = Int32Array;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export function newTarget(): Target {
  return { slot: undefined, inner: new Map() };
}

/** `a.b.0`, or a JSON pointer (RFC 6901) `/a.b/0`. */
export function pathSteps(path: string): string[] {
  if (!path.startsWith('/')) return path.split('.');
  const steps = path.slice(1).split('/');
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The target at the end of `steps`, made where it is not there. */
export function targetAt(root: Target, steps: readonly string[]): Target {
  let at = root;
  for (const step of steps) {
    let next = at.inner.get(step);
    if (next === undefined) at.inner.set(step, (next = newTarget()));
    at = next;
  }
  return at;
}

/** Of a name that occurs twice the last one counts, as for JSON.parse. */
export function findSlots(text: string, root: Target, count: number): Slots {
  const slots = new Int32Array(count * 2).fill(-1);
  walk(text, skipBlanks(text, 0), root, slots);
  return slots;
}

/** Notes the places below the value that begins at `at`, and returns where it ends. As deep as the paths, no deeper. */
function walk(text: string, at: number, target: Target, slots: Slots): number {
  const opening = text[at];
  let end: number;
  if (target.inner.size === 0 || (opening !== '{' && opening !== '[')) end = skipValue(text, at);
  else end = opening === '{' ? walkObject(text, at, target, slots) : walkList(text, at, target, slots);
  if (target.slot !== undefined) {
    slots[target.slot * 2] = at;
    slots[target.slot * 2 + 1] = end;
  }
  return end;
}

function walkObject(text: string, start: number, target: Target, slots: Slots): number {
  let at = skipBlanks(text, start + 1);
  while (text[at] !== '}') {
    const end = skipString(text, at);
    const raw = text.slice(at + 1, end - 1);
    const name = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
    at = walkNext(text, skipBlanks(text, end) + 1, target.inner.get(name), slots);
  }
  return at + 1;
}

function walkList(text: string, start: number, target: Target, slots: Slots): number {
  let at = skipBlanks(text, start + 1);
  for (let index = 0; text[at] !== ']'; index += 1) at = walkNext(text, at, target.inner.get(String(index)), slots);
  return at + 1;
}

/** One value and the comma after it. Returns where the next one, or the bracket, is. */
function walkNext(text: string, before: number, target: Target | undefined, slots: Slots): number {
  const at = skipBlanks(text, before);
  if (target !== undefined) forget(target, slots);
  const end = skipBlanks(text, target === undefined ? skipValue(text, at) : walk(text, at, target, slots));
  return text[end] === ',' ? skipBlanks(text, end + 1) : end;
}

/** What an earlier value of the same name had below it is not in the later one. */
function forget(target: Target, slots: Slots): void {
  if (target.slot !== undefined) slots[target.slot * 2] = -1;
  for (const inner of target.inner.values()) forget(inner, slots);
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Past the string that begins at `start`. */
function skipString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) at += code === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** Past the value that begins at `start`, however deep it is. */
function skipValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const char = text[at];
    if (char === '"') at = skipString(text, at);
    else if (char === '{' || char === '[') {
      depth += 1;
      at += 1;
    } else if (char === '}' || char === ']') {
      depth -= 1;
      at += 1;
    } else if (depth > 0 && (char === ',' || char === ':' || isBlank(text.charCodeAt(at)))) at += 1;
    else at = skipWord(text, at);
  } while (depth > 0);
  return at;
}

/** Past a number, true, false or null. */
function skipWord(text: string, start: number): number {
  let at = start;
  while (at < text.length && !',:]}'.includes(text[at]!) && !isBlank(text.charCodeAt(at))) at += 1;
  return at;
}
