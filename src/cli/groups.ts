// `headwater groups`: list, describe, reset and delete consumer groups of a running node.

import { HeadwaterError } from '../errors.ts';
import { withDaemon, type Whereabouts } from './daemon.ts';
import { parseOffsets } from './offsets.ts';
import { print, progress, table, type Terminal } from './terminal.ts';

export interface GroupOptions extends Whereabouts {
  output: 'text' | 'json';
}

interface GroupLine {
  id: string;
  protocolType: string;
  /** Which protocol its members speak: Classic or Consumer. */
  kind: string;
  state: string;
  members: number;
  lag: number;
}

interface GroupDetail extends GroupLine {
  each: { memberId: string; instanceId: string | null; clientId: string; clientHost: string }[];
  offsets: { topic: string; partition: number; offset: number; highWatermark: number; lag: number }[];
}

interface GroupReset {
  offsets: { topic: string; partition: number; before: number | null; offset: number }[];
}

const HEADINGS = ['GROUP', 'TYPE', 'PROTOCOL', 'STATE', 'MEMBERS', 'LAG'];

export async function listGroups(options: GroupOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const groups = await daemon.getJson<GroupLine[]>('/groups');
    print(terminal, options.output, groups, () => table([HEADINGS, ...groups.map(rowOf)]));
  });
}

export async function describeGroup(id: string, options: GroupOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const group = await daemon.getJson<GroupDetail>(groupPath(id));
    print(terminal, options.output, group, () => describe(group));
  });
}

function describe(group: GroupDetail): string {
  const offsets = group.offsets.map(({ topic, partition, offset, highWatermark, lag }) => {
    return [topic, partition, offset, highWatermark, lag];
  });
  const members = group.each.map(({ memberId, instanceId, clientId, clientHost }) => {
    return [memberId, instanceId ?? '-', clientId, clientHost];
  });
  const tables = [table([HEADINGS, rowOf(group)])];
  if (offsets.length > 0) tables.push(table([['TOPIC', 'PARTITION', 'OFFSET', 'NEXT OFFSET', 'LAG'], ...offsets]));
  if (members.length > 0) tables.push(table([['MEMBER', 'INSTANCE', 'CLIENT', 'HOST'], ...members]));
  return tables.join('\n');
}

export interface ResetOptions extends GroupOptions {
  topic: string;
  partition?: number;
  to: string;
  dryRun: boolean;
}

export async function resetGroup(id: string, options: ResetOptions, terminal: Terminal): Promise<number> {
  const { topic, partition, dryRun } = options;
  const { from: to, to: end } = parseOffsets(options.to, terminal.clock.wallMs());
  if (end !== undefined) throw new HeadwaterError('USAGE', '--to is one place in a topic, not two');
  const wish = JSON.stringify({ topic, ...(partition !== undefined && { partition }), to, dryRun });
  return withDaemon(options, terminal, async (daemon) => {
    const { text } = await daemon.send('POST', `${groupPath(id)}/offsets`, wish);
    const reset = JSON.parse(text) as GroupReset;
    const rows = reset.offsets.map((each) => [each.topic, each.partition, each.before ?? '-', each.offset]);
    print(terminal, options.output, reset, () => table([['TOPIC', 'PARTITION', 'BEFORE', 'OFFSET'], ...rows]));
    progress(terminal, dryRun ? 'nothing was changed' : `${id} goes on from there`);
  });
}

export interface DeleteOptions extends GroupOptions {
  yes: boolean;
}

export async function deleteGroup(id: string, options: DeleteOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const { offsets } = await daemon.getJson<GroupDetail>(groupPath(id));
    if (!options.yes) {
      const what = `${id} and its ${offsets.length} offsets would be gone for ever`;
      throw new HeadwaterError('USAGE', `${what}: say --yes if they should`);
    }
    await daemon.send('DELETE', groupPath(id));
    if (options.output === 'json') terminal.out.write(`${JSON.stringify({ deleted: id })}\n`);
    progress(terminal, `${id} is deleted`);
  });
}

/** Throws GROUP_UNKNOWN for names that would be steps in a path. */
function groupPath(id: string): string {
  if (id !== '' && id !== '.' && id !== '..') return `/groups/${encodeURIComponent(id)}`;
  throw new HeadwaterError('GROUP_UNKNOWN', `there is no group ${JSON.stringify(id)}: see \`headwater groups list\``);
}

function rowOf({ id, protocolType, kind, state, members, lag }: GroupLine): (string | number)[] {
  return [id, protocolType === '' ? '-' : protocolType, kind.toLowerCase(), state, members, lag];
}
