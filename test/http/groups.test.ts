// Consumer groups over REST and on the command line, on a log in memory.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openGroups, type Groups } from '../../src/groups/groups.ts';
import { run } from '../cli/run-cli.ts';
import { batchOf } from '../kafka/open-door.ts';
import { silent } from '../log/open-log.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';
import { openDoor, type OpenDoor } from './open-http.ts';

let door: OpenDoor;
let log: FakeLog;
let groups: Groups;

beforeEach(async () => {
  log = fakeLog();
  await log.createTopic('t', { partitions: 2 });
  for (const partition of log.topic('t')!.partitions) await partition.append(batchOf(['a', 'b', 'c', 'd'], {}, 5000));
  const settings = { initialRebalanceDelayMs: 0 };
  groups = openGroups({ log, clock: systemClock, trace: silent, settings });
  door = await openDoor({ log, groups });
  const offset = { topic: 't', partition: 1, offset: 1, leaderEpoch: 0, metadata: 'note' };
  await groups.commit('a/b', { memberId: '', instanceId: null, generation: -1 }, [offset]);
});

afterEach(async () => {
  await door.room.close();
  groups.close();
});

async function joinOne(): Promise<void> {
  await groups.join('a/b', {
    memberId: '',
    newMemberId: 'm',
    instanceId: 'pump',
    clientId: 'c',
    clientHost: '/10.0.0.7',
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    takesIdFirst: false,
    canSkipAssignment: true,
  });
}

const reset = (wish: object) =>
  door.ask('/groups/a%2Fb/offsets', {
    method: 'POST',
    body: JSON.stringify(wish),
    headers: { 'content-type': 'application/json' },
  });

describe('HTTP', () => {
  test('groups are listed and described', async () => {
    const line = { id: 'a/b', protocolType: '', kind: 'Classic', state: 'Empty', members: 0, lag: 3 };
    expect((await door.ask('/groups')).json).toEqual([line]);
    const place = { topic: 't', partition: 1, offset: 1, logStart: 0, highWatermark: 4, lag: 3, metadata: 'note' };
    expect((await door.ask('/groups/a%2Fb')).json).toEqual({ ...line, protocol: '', each: [], offsets: [place] });
    await joinOne();
    const member = { memberId: 'm', instanceId: 'pump', clientId: 'c', clientHost: '10.0.0.7' };
    expect((await door.ask('/groups/a%2Fb')).json).toMatchObject({ members: 1, each: [member] });
    expect(await door.ask('/groups/c')).toMatchObject({ status: 404, json: { error: 'GROUP_UNKNOWN' } });
  });

  test('a reset goes to any place, in one partition or all, and a dry one changes nothing', async () => {
    expect((await reset({ topic: 't', to: 'end', dryRun: true })).json).toEqual({
      group: 'a/b',
      isDry: true,
      offsets: [
        { topic: 't', partition: 0, before: null, offset: 4 },
        { topic: 't', partition: 1, before: 1, offset: 4 },
      ],
    });
    expect(groups.committedBy('a/b')).toMatchObject([{ partition: 1, offset: 1 }]);
    await reset({ topic: 't', partition: 0, to: '-1' });
    expect(groups.committed('a/b', 't', 0)).toMatchObject({ offset: 3 });
    await reset({ topic: 't', to: 2 });
    expect(groups.committedBy('a/b').map(({ offset }) => offset)).toEqual([2, 2]);
  });

  test('what makes no sense is refused, and so is a reset or a delete while there are members', async () => {
    expect((await reset({ topic: 't' })).status).toBe(400);
    expect((await reset({ topic: 't', to: 'end', more: 1 })).status).toBe(400);
    expect((await reset({ topic: 'u', to: 'end' })).status).toBe(404);
    expect((await reset({ topic: 't', partition: 2, to: 'end' })).status).toBe(404);
    expect((await reset({ topic: 't', to: 5 })).status).toBe(416);
    await joinOne();
    expect(await reset({ topic: 't', to: 'end' })).toMatchObject({ status: 409, json: { error: 'GROUP_BUSY' } });
    expect((await door.ask('/groups/a%2Fb', { method: 'DELETE' })).status).toBe(409);
    expect(groups.committedBy('a/b')).toMatchObject([{ partition: 1, offset: 1 }]);
  });

  test('a group is deleted', async () => {
    expect((await door.ask('/groups/a%2Fb', { method: 'DELETE' })).json).toEqual({ deleted: 'a/b' });
    expect((await door.ask('/groups')).json).toEqual([]);
  });
});

describe('headwater groups', () => {
  const cli = (command: string) =>
    run(['groups', ...command.split(' ')], { env: { HEADWATER_URL: `http://127.0.0.1:${door.room.address.port}` } });

  test('list and describe', async () => {
    await joinOne();
    expect((await cli('list')).out).toMatch(
      /GROUP +TYPE +PROTOCOL +STATE +MEMBERS +LAG\na\/b +consumer +classic +CompletingRebalance +1 +3/,
    );
    const { out } = await cli('describe a/b');
    expect(out).toMatch(/TOPIC +PARTITION +OFFSET +NEXT OFFSET +LAG\nt +1 +1 +4 +3/);
    expect(out).toMatch(/MEMBER +INSTANCE +CLIENT +HOST\nm +pump +c +10\.0\.0\.7/);
    expect(JSON.parse((await cli('list -o json')).out)).toMatchObject([{ id: 'a/b', lag: 3 }]);
    expect(JSON.parse((await cli('describe a/b -o json')).out)).toMatchObject({ id: 'a/b', members: 1 });
    expect(await cli('describe other')).toMatchObject({ code: 4, err: expect.stringContaining('no group "other"') });
  });

  test('reset', async () => {
    const dry = await cli('reset a/b -t t --to start --dry-run -o json');
    expect(JSON.parse(dry.out)).toMatchObject({ isDry: true, offsets: [{ before: null }, { before: 1, offset: 0 }] });
    expect((await cli('reset a/b -t t -p 1 --to @1970-01-01T00:00:04Z')).out).toMatch(/t +1 +1 +0/);
    expect(groups.committed('a/b', 't', 1)).toMatchObject({ offset: 0 });
    expect((await cli('reset a/b -t t --to 1:2')).code).toBe(2);
    expect((await cli('reset a/b -t t')).code).toBe(2);
    await joinOne();
    expect(await cli('reset a/b -t t --to end')).toMatchObject({
      code: 75,
      err: expect.stringContaining('has members'),
    });
  });

  test('delete asks for a yes', async () => {
    expect(await cli('delete a/b')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect((await cli('delete a/b --yes')).code).toBe(0);
    expect(groups.list()).toEqual([]);
  });
});
