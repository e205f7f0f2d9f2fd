import { afterEach, beforeEach, expect, test } from 'vitest';
import { mirrorMetrics } from '../../src/mirror/mirror-metrics.ts';
import { batchOf } from '../log/open-log.ts';
import { openPair, upTo, type Pair } from './fake-upstream.ts';

let pair: Pair;
beforeEach(async () => {
  pair = await openPair();
});
afterEach(() => pair.remove());

async function streamed(count: number): Promise<void> {
  await pair.append('t', count);
  await pair.open();
  await pair.drained();
}

/** The next Produce, and only that, meets this. */
function nextProduce(fate: ReturnType<Pair['broker']['fate']>): void {
  let isMet = false;
  pair.broker.fate = (api) => {
    if (api !== 'Produce' || isMet) return 'do';
    isMet = true;
    return fate;
  };
}

test.each(['lose', 'mute', 'stray', 7, 20, 6, 45, 19, 2, 56] as const)(
  'a batch that meets %s is upstream once',
  async (fate) => {
    await streamed(10);
    nextProduce(fate);
    await pair.append('t', 10);
    await pair.drained();
    await pair.append('t', 5);
    await pair.drained();
    expect(pair.upstream('n.t')).toEqual(upTo(25));
  },
);

test.each(['lose', 'mute', 'stray'] as const)(
  'a first batch that meets %s waits for strays, and is upstream once',
  async (fate) => {
    nextProduce(fate);
    await streamed(10);
    expect(pair.upstream('n.t')).toEqual(upTo(10));
  },
);

test.each(['lose', 'mute', 'stray'] as const)(
  'a batch that meets %s while the upstream forgets the producer',
  async (fate) => {
    await streamed(10);
    nextProduce(fate);
    await pair.append('t', 10);
    // A stray batch that is remembered again has arrived by now.
    await new Promise((resolve) => setTimeout(resolve, 40));
    pair.broker.forget();
    await pair.drained();
    expect(pair.upstream('n.t')).toEqual(upTo(20));
  },
);

test('an upstream that can not be asked about producers is read instead', async () => {
  pair.broker.unknown.add('DescribeProducers');
  await streamed(10);
  nextProduce('mute');
  await pair.append('t', 10);
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(20));
});

test('a killed process leaves nothing double and nothing out', async () => {
  await streamed(10);
  for (const isWritten of [true, false, true, false]) {
    nextProduce('mute');
    await pair.append('t', 10);
    await new Promise((resolve) => setTimeout(resolve, 20));
    pair.kill(() => isWritten);
    await pair.append('t', 10);
    await pair.open();
    await pair.drained();
  }
  expect(pair.upstream('n.t')).toEqual(upTo(90));
});

test('a batch that was under way when the process died can not arrive after its successor', async () => {
  await streamed(10);
  pair.broker.strayMs = 100;
  nextProduce('stray');
  await pair.append('t', 10);
  await new Promise((resolve) => setTimeout(resolve, 20));
  pair.kill(() => true);
  await pair.append('t', 3);
  await pair.open();
  await pair.drained();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(pair.upstream('n.t')).toEqual(upTo(23));
});

test('what an upstream had acknowledged and lost is sent again', async () => {
  await streamed(10);
  await pair.append('t', 10);
  await pair.drained();
  await pair.append('t', 10);
  await pair.drained();
  pair.broker.truncate('n.t', 2);
  await pair.append('t', 10);
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(40));
  expect(pair.lines.join('\n')).toContain('upstream lost what it had acknowledged');
});

test('records that the card lost from the middle are counted, and the rest follows', async () => {
  for (let batch = 0; batch < 3; batch += 1) await pair.append('t', 10);
  pair.log.partition('t').batches.splice(1, 1);
  await pair.open();
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(30).filter((number) => number < 10 || number >= 20));
  expect(pair.status().lost.gapRecords).toBe(10);
});

test('records that are removed while the upstream is away are told of at once', async () => {
  pair.broker.fate = () => 'mute';
  await pair.append('t', 50);
  await pair.open();
  await pair.log.partition('t').deleteRecords(20);
  expect(pair.status()).toMatchObject({ backlog: { records: 30, removedRecords: 20 }, lost: { gapRecords: 0 } });
});

test('two machines with the same card lose nothing: what both hold is there twice', async () => {
  await streamed(10);
  pair.broker.fate = (api) => (api === 'Produce' ? 'lose' : 'do');
  await pair.append('t', 10);
  pair.kill(() => true);
  pair.broker.fate = () => 'do';
  const copy = structuredClone([...pair.card]);
  await pair.open({ hardwareId: 'a' });
  await pair.drained();
  pair.kill(() => true);

  pair.card.clear();
  for (const [key, position] of copy) pair.card.set(key, position);
  await pair.append('t', 7);
  await pair.open({ hardwareId: 'b' });
  await pair.drained();

  expect(new Set(pair.upstream('n.t'))).toEqual(new Set(upTo(27)));
});

test('a card that was copied while it was in use is noticed by what the upstream holds', async () => {
  await streamed(10);
  await pair.append('t', 10);
  await pair.drained();
  const copy = structuredClone([...pair.card]);
  await pair.append('t', 400);
  await pair.drained();
  pair.kill(() => false);

  // The copy has other records after the first twenty.
  const other = await openPair();
  await other.append('t', 20);
  await other.append('t', 50);
  for (const [key, position] of copy) other.card.set(key, position);
  await other.open({ mirrors: [{ name: 'dc', bootstrap: [pair.broker.address] }] });
  await other.drained();
  await other.remove();

  expect(other.lines.join('\n')).toContain('that this node did not send');
  expect(pair.upstream('n.t').slice(-50)).toEqual(upTo(70).slice(20));
});

test('a partition that is refused stops, and others go on', async () => {
  pair.broker.createTopic('n.small', 1);
  pair.broker.batchBytesMax = 150;
  await pair.append('small', 1);
  await pair.append('t', 40);
  await pair.open();
  await pair.drained();
  await pair.log.partition('small').append(batchOf(0, 1, { bytes: 200 }));
  await pair.append('t', 40);
  await until(() => pair.status().partitions.find(({ topic }) => topic === 'small')!.state === 'refused');
  await until(() => pair.upstream('n.t').length === 80);

  const { partitions } = pair.status();
  expect(partitions.find(({ topic }) => topic === 'small')!.reason).toMatch(
    /^message too large \(offset 1, 2\d\d bytes\)/,
  );
  expect(pair.upstream('n.t')).toEqual(upTo(80));
  // The other partition has arrived, and its answer is still on the way.
  await until(() => pair.status().state === 'refused');
});

test('rights that are missing are told, and the partition goes on when they are given', async () => {
  pair.broker.fate = (api) => (api === 'Produce' ? 29 : 'do');
  await pair.append('t', 10);
  await pair.open();
  await until(() => pair.status().partitions[0]?.state === 'refused');
  expect(pair.status().partitions[0]!.reason).toContain('TOPIC_AUTHORIZATION_FAILED(29)');
  expect(pair.broker.counts.get('Produce')).toBe(1);
  pair.broker.fate = () => 'do';
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(10));
});

test('an upstream that answers nonsense is left, and asked again later', async () => {
  pair.broker.fate = (api) => (api === 'InitProducerId' ? 14 : 'do');
  await pair.append('t', 10);
  await pair.open();
  await until(() => (pair.broker.counts.get('InitProducerId') ?? 0) > 2);
  pair.broker.fate = () => 'do';
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(10));
});

test('closing waits for the answer under way and leaves nothing in doubt', async () => {
  await streamed(10);
  await pair.append('t', 10);
  await pair.close();
  const [position] = pair.card.values();
  expect(position!.state).toMatchObject({ clean: true });
  await pair.open();
  await pair.drained();
  expect(pair.upstream('n.t')).toEqual(upTo(20));
  expect(pair.status().reconciliations).toBe(0);
});

test('the metrics tell each figure for each mirror', async () => {
  await streamed(10);
  const metrics = mirrorMetrics([pair.status()]);
  const sent = metrics.find(({ name }) => name === 'mirror_sent_records_total')!;
  expect(sent.samples).toEqual([{ labels: { mirror: 'dc' }, value: 10 }]);
  expect(metrics.find(({ name }) => name === 'mirror_up')!.samples[0]!.value).toBe(1);
});

async function until(isTrue: () => boolean): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!isTrue()) {
    if (Date.now() > endMs) throw new Error(JSON.stringify(pair.status()));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
