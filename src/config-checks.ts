// What valibot does not see: names that are no setting, and values that contradict one another.

import type * as v from 'valibot';
import { configSchema, type ConfigValue } from './config-schema.ts';
import { chosen, shapeOf, type Shape } from './config-setting.ts';
import type { ConfigPath, Problem } from './config-source.ts';
import { formatAddress, isLoopback, isRefusal, nearest, parseAddress, parseTopicName, quote } from './config-units.ts';
import type { Address } from './config-units.ts';

type GroupShape = Extract<Shape, { kind: 'group' }>;

/** Names that are no setting, and lists where a group should be: valibot would pass over them. */
export function strayNames(schema: v.GenericSchema, value: unknown, path: ConfigPath): Problem[] {
  const shape = shapeOf(schema, value);
  if (shape.kind === 'leaf' || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value) && shape.kind !== 'list') {
    // To valibot a list is an object, too.
    return [{ path, message: `must be a group of settings, not a list` }];
  }
  if (!Array.isArray(value) && shape.kind === 'list') return [];
  const problems: Problem[] = [];
  for (const [key, inner] of Object.entries(value)) {
    const step = shape.kind === 'list' ? Number(key) : key;
    const at = [...path, step];
    if (shape.kind === 'list') problems.push(...strayNames(shape.item, inner, at));
    else if (shape.kind === 'map') problems.push(...strayInMap(shape.value, key, inner, at));
    else {
      const known = shape.entries.get(key);
      if (known === undefined) problems.push({ path: at, isName: true, message: strayMessage(key, shape, value) });
      else problems.push(...strayNames(known, inner, at));
    }
  }
  return problems;
}

function strayInMap(schema: v.GenericSchema, key: string, value: unknown, path: ConfigPath): Problem[] {
  // valibot leaves these three out without a word, so that no prototype can be touched.
  const isForbidden = key === '__proto__' || key === 'prototype' || key === 'constructor';
  if (isForbidden) return [{ path, isName: true, message: 'is a name that cannot be used here' }];
  return strayNames(schema, value, path);
}

function strayMessage(key: string, shape: GroupShape, value: unknown): string {
  const { entries, choice } = shape;
  const owners = [...(choice?.of ?? [])].filter(([, own]) => Object.hasOwn(own, key)).map(([name]) => name);
  if (choice !== undefined && owners.length > 0) {
    return `is a setting of ${choice.key}: ${owners.join(', ')}, not of ${choice.key}: ${chosen(choice, value)}`;
  }
  const meant = nearest(key, entries.keys());
  if (meant !== undefined) return `is not a setting, did you mean ${meant}?`;
  const elsewhere = findNamed(configSchema, key, '');
  if (elsewhere !== undefined) return `is not a setting here, did you mean ${elsewhere}?`;
  return `is not a setting; there are ${[...entries.keys()].join(', ')}`;
}

function findNamed(schema: v.GenericSchema, key: string, prefix: string): string | undefined {
  const shape = shapeOf(schema);
  if (shape.kind === 'list') return findNamed(shape.item, key, `${prefix}[]`);
  if (shape.kind === 'map') return findNamed(shape.value, key, `${prefix}.NAME`);
  if (shape.kind === 'leaf') return undefined;
  for (const [name, inner] of shape.entries) {
    const at = prefix === '' ? name : `${prefix}.${name}`;
    if (name === key) return at;
    const deeper = findNamed(inner, key, at);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

/**
 * What each value alone cannot tell. `isSound` says whether the value at a place, and all that holds it, was found good
 * so far: only such values are compared.
 */
export function contradictions(value: ConfigValue, isSound: (path: ConfigPath) => boolean): Problem[] {
  const problems: Problem[] = [...openDoors(value, isSound), ...sessionBounds(value, isSound)];
  if (isSound(['topics'])) problems.push(...Object.keys(value.topics).flatMap(topicName));
  if (isSound(['serial'])) problems.push(...repeats(value.serial, ['serial'], 'path', isSound));
  if (isSound(['mqtt', 'users'])) problems.push(...repeats(value.mqtt.users, ['mqtt', 'users'], 'name', isSound));
  if (isSound(['mirror'])) {
    problems.push(...repeats(value.mirror, ['mirror'], 'name', isSound));
    for (const [index, entry] of value.mirror.entries()) {
      const path = ['mirror', index, 'rename'];
      if (isSound(path)) problems.push(...strayInTemplate(entry.rename, path));
      problems.push(...mirrorAccess(entry, ['mirror', index], isSound));
    }
  }
  return problems;
}

function topicName(name: string): Problem[] {
  const message = "is not a topic's name: letters, digits, dot, underscore, hyphen; at most 249";
  return isRefusal(parseTopicName(name)) ? [{ path: ['topics', name], isName: true, message }] : [];
}

function sessionBounds({ kafka }: ConfigValue, isSound: (path: ConfigPath) => boolean): Problem[] {
  const [shortest, longest] = ['group.min.session.timeout.ms', 'group.max.session.timeout.ms'] as const;
  const path = ['kafka', longest];
  if (!isSound(path) || !isSound(['kafka', shortest]) || kafka[shortest] <= kafka[longest]) return [];
  return [{ path, message: `is less than ${shortest}, ${kafka[shortest]}` }];
}

const DOORS = ['mqtt', 'kafka', 'http'] as const;
type Door = (typeof DOORS)[number];

/** The setting with which a door asks its clients who they are. */
const ASKED_BY: Partial<Record<Door, string>> = { mqtt: 'users', http: 'token' };

function openDoors(value: ConfigValue, isSound: (path: ConfigPath) => boolean): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<string, string>();
  for (const door of DOORS) {
    const path = [door, 'listen'];
    if (!isSound(path) || !isSound([door, 'insecure'])) continue;
    const { listen, insecure } = value[door];
    if (listen === undefined) continue;
    const asks = ASKED_BY[door];
    const isAsked = asks !== undefined && (!isSound([door, asks]) || hasCredentials(value, door));
    if (!isLoopback(listen.host) && !insecure && !isAsked) problems.push({ path, message: exposed(listen, door) });
    const other = taken.get(formatAddress(listen));
    const isSame = other !== undefined && listen.port !== 0;
    if (isSame) problems.push({ path, message: `is the same address as ${other}.listen` });
    taken.set(formatAddress(listen), door);
  }
  if (isSound(['kafka', 'listeners'])) problems.push(...moreListeners(value, isSound, taken));
  return problems;
}

function moreListeners(
  { kafka }: ConfigValue,
  isSound: (path: ConfigPath) => boolean,
  taken: Map<string, string>,
): Problem[] {
  const problems: Problem[] = [];
  for (const [index, { listen }] of kafka.listeners.entries()) {
    const path = ['kafka', 'listeners', index, 'listen'];
    const isExposed = isSound(['kafka', 'insecure']) && !kafka.insecure && !isLoopback(listen.host);
    if (isExposed) problems.push({ path, message: exposed(listen, 'kafka') });
    const other = taken.get(formatAddress(listen));
    if (other !== undefined && listen.port !== 0) {
      problems.push({ path, message: `is the same address as ${other}.listen` });
    }
    taken.set(formatAddress(listen), `kafka.listeners.${index}`);
  }
  return problems;
}

function hasCredentials({ mqtt, http }: ConfigValue, door: Door): boolean {
  return door === 'mqtt' ? mqtt.users.length > 0 : door === 'http' && http.token !== undefined;
}

function exposed(listen: Address, door: Door): string {
  const asks = ASKED_BY[door];
  const instead = asks === undefined ? '' : `set ${door}.${asks}, or `;
  return (
    `${formatAddress(listen)} is an address that other machines reach, and nobody is asked for a password: ` +
    `keep 127.0.0.1, ${instead}${asks === undefined ? 'or ' : ''}set ${door}.insecure: true if everybody on that network may use it`
  );
}

/** How a mirror gets at its brokers. `at` is the mirror's place. */
function mirrorAccess(
  { tls, sasl, bootstrap }: ConfigValue['mirror'][number],
  at: ConfigPath,
  isSound: (path: ConfigPath) => boolean,
): Problem[] {
  const areSound = (...paths: string[][]): boolean => paths.every((path) => isSound([...at, ...path]));
  const problems: Problem[] = [];
  if (areSound(['tls', 'cert'], ['tls', 'key']) && (tls?.cert === undefined) !== (tls?.key === undefined)) {
    const missing = tls?.cert === undefined ? 'cert' : 'key';
    problems.push({ path: [...at, 'tls'], message: `has no ${missing}: cert and key go together` });
  }
  if (!areSound(['bootstrap'], ['tls'], ['sasl', 'mechanism'], ['sasl', 'insecure'])) return problems;
  const isFar = bootstrap.some((address, index) => isSound([...at, 'bootstrap', index]) && !isLoopbackAddress(address));
  if (sasl?.mechanism === 'PLAIN' && tls === undefined && !sasl.insecure && isFar) {
    const message =
      'must not be PLAIN without TLS, which shows the password to everybody on the way: ' +
      'set tls, use SCRAM-SHA-512, or say insecure: true';
    problems.push({ path: [...at, 'sasl', 'mechanism'], message });
  }
  return problems;
}

function isLoopbackAddress(text: string): boolean {
  const address = parseAddress(text);
  return !isRefusal(address) && isLoopback(address.host);
}

function repeats<K extends string>(
  entries: readonly Partial<Record<K, string>>[],
  list: readonly string[],
  key: K,
  isSound: (path: ConfigPath) => boolean,
): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, number>();
  for (const [index, entry] of entries.entries()) {
    const path = [...list, index, key];
    if (!isSound(path)) continue;
    const value = entry[key];
    if (value === undefined) continue;
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, index);
    else problems.push({ path, message: `is the same as that of ${list.join('.')}[${earlier}]` });
  }
  return problems;
}

function strayInTemplate(template: string, path: ConfigPath): Problem[] {
  const rest = template.replaceAll('{node}', '').replaceAll('{topic}', '');
  if (/^[\w.-]*$/.test(rest)) return [];
  const allowed = 'letters, digits, dots, underscores, hyphens, {node} and {topic}';
  return [{ path, message: `may hold ${allowed}, not ${quote(template)}` }];
}
