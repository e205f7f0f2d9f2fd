// Keys of fields: a template such as `{id}/{mode}`, whose names are fields, or `port` and `channel` where no field is called
// so. Pure.

import type { Body, RuleProblem } from './body.ts';
import { hintFor } from './layout.ts';

/** Where a frame came from. */
export interface Origin {
  port: string;
  channel?: string;
}

/** Undefined when the frame lacks a field of the template, or all of it is empty. */
export type KeyOf<Read> = (read: Read, origin: Origin) => string | undefined;

type Part<Read> = (read: Read, origin: Origin) => string | undefined;

const ORIGIN: Record<string, Part<unknown>> = {
  port: (_, { port }) => port,
  channel: (_, { channel }) => channel,
};

export function compileKey<Read>(template: string, body: Body<Read>, problems: RuleProblem[]): KeyOf<Read> {
  const parts: Part<Read>[] = [];
  for (const piece of template.split(/(\{[^{}]*\})/)) {
    if (piece === '') continue;
    const name = /^\{(.*)\}$/.exec(piece)?.[1];
    if (name === undefined) {
      if (/[{}]/.test(piece))
        problems.push({ path: ['key'], message: 'a brace is opened or closed without the other' });
      parts.push(() => piece);
    } else parts.push(fieldPart(name, body, problems));
  }
  return (read, origin) => {
    let key = '';
    for (const part of parts) {
      const text = part(read, origin);
      if (text === undefined) return undefined;
      key += text;
    }
    return key === '' ? undefined : key;
  };
}

function fieldPart<Read>(name: string, body: Body<Read>, problems: RuleProblem[]): Part<Read> {
  const isOrigin = Object.hasOwn(ORIGIN, name) && body.names?.includes(name) !== true;
  const part = isOrigin ? ORIGIN[name] : body.textOf(name);
  if (part !== undefined) return part;
  const hint = hintFor(name, [...(body.names ?? []), ...Object.keys(ORIGIN)]);
  problems.push({ path: ['key'], message: `{${name}} is no field that a key can have; ${hint}` });
  return () => undefined;
}
