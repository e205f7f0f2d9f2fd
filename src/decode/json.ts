// Frames that are JSON text: checked, and either left byte for byte, or written anew from picked fields whose values are
// copied as they are written. Pure.

import { isUtf8 } from 'node:buffer';
import type { JsonRule } from '../config-decode.ts';
import { excerpt, Misfit, type Body, type RuleProblem } from './body.ts';
import { findSlots, newTarget, pathSteps, targetAt, type Slots } from './json-walk.ts';
import { repeatedNames } from './layout.ts';

interface ReadJson {
  frame: Buffer;
  text: string;
  slots: Slots;
}

const NO_SLOTS: Slots = new Int32Array(0);

export function compileJson(rule: JsonRule, problems: RuleProblem[]): Body<ReadJson> {
  const root = newTarget();
  const slotsByPath = new Map<string, number>();
  const fields = (rule.fields ?? []).map((field) => ({ ...field, slot: slotOf(field.from ?? field.name) }));
  const required = fields.filter(({ missing }) => missing === 'refuse');
  for (const index of repeatedNames(fields.map(({ name }) => name))) {
    const message = `the name ${JSON.stringify(fields[index]!.name)} is that of another field, too`;
    problems.push({ path: ['json', 'fields', index, 'name'], message });
  }

  /** The slot for the value at `path`. Fields that textOf() is asked for have theirs, too. */
  function slotOf(path: string): number {
    const known = slotsByPath.get(path);
    if (known !== undefined) return known;
    const target = targetAt(root, pathSteps(path));
    target.slot ??= new Set(slotsByPath.values()).size;
    slotsByPath.set(path, target.slot);
    return target.slot;
  }

  function read(frame: Buffer): ReadJson | Misfit {
    if (!isUtf8(frame)) return new Misfit('the frame is not UTF-8, as JSON has to be');
    const text = frame.toString();
    const wrong = mistakeIn(text);
    if (wrong !== undefined) return new Misfit(wrong);
    if (slotsByPath.size === 0) return { frame, text, slots: NO_SLOTS };
    const slots = findSlots(text, root, slotsByPath.size);
    for (const { name, from, slot } of required) {
      if (slots[slot * 2] === -1) return new Misfit(`the field ${JSON.stringify(from ?? name)} is missing`);
    }
    return { frame, text, slots };
  }

  function value({ frame, text, slots }: ReadJson): Buffer | string {
    if (rule.fields === undefined) return frame;
    let out = '';
    for (const { name, slot, missing } of fields) {
      const at = slots[slot * 2]!;
      if (at === -1 && missing === 'omit') continue;
      const written = at === -1 ? 'null' : text.slice(at, slots[slot * 2 + 1]);
      out += `${out === '' ? '' : ','}${JSON.stringify(name)}:${written}`;
    }
    return `{${out}}`;
  }

  return {
    words: rule.fields === undefined ? 'json' : `json with ${fields.length} fields`,
    read,
    value,
    textOf(name) {
      const picked = fields.find((field) => field.name === name);
      if (rule.fields !== undefined && picked === undefined) return undefined;
      const slot = picked?.slot ?? slotOf(name);
      return ({ text, slots }) => plainText(text, slots[slot * 2]!, slots[slot * 2 + 1]!);
    },
    names: rule.fields === undefined ? undefined : fields.map(({ name }) => name),
    units: {},
  };
}

/** JSON.parse is the judge; what it makes of the text is not used, as it would round long numbers. */
function mistakeIn(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const [, position] = /at position (\d+)/.exec(String(error)) ?? [];
    const where = position === undefined ? '' : ` at character ${Number(position) + 1}`;
    return text.trim() === '' ? 'the frame is empty' : `the frame is not JSON${where}: ${excerpt(text)}`;
  }
}

/** Of text without its quotes and escapes. Objects, lists and null are no text. */
function plainText(text: string, at: number, end: number): string | undefined {
  if (at === -1) return undefined;
  const written = text.slice(at, end);
  if (written.startsWith('"')) return JSON.parse(written) as string;
  return written.startsWith('{') || written.startsWith('[') || written === 'null' ? undefined : written;
}
