import { expect, test } from 'vitest';
import { FIRST_LINK, step, type Link, type LinkInput } from '../../src/serial/link.ts';

function after(inputs: LinkInput[], random = 0.5): { link: Link; actions: string[]; delaysMs: number[] } {
  let link = FIRST_LINK;
  const actions: string[] = [];
  const delaysMs: number[] = [];
  for (const input of inputs) {
    const next = step(link, input, random);
    link = next.link;
    actions.push(next.action.kind);
    if (next.action.kind === 'wait') delaysMs.push(next.action.delayMs);
  }
  return { link, actions, delaysMs };
}

test('a device that is missing is tried again for ever, after one second and up to five', () => {
  const tries = Array.from({ length: 6 }, (): LinkInput[] => ['missing', 'due']).flat();
  const { link, delaysMs } = after(tries);
  expect(link.state).toBe('opening');
  expect(delaysMs).toEqual([1000, 2000, 4000, 5000, 5000, 5000]);
});

test('the delay differs by a fifth at most', () => {
  expect(after(['missing'], 0).delaysMs[0]).toBeCloseTo(800);
  expect(after(['missing'], 1).delaysMs[0]).toBeCloseTo(1200);
});

test('a device that was open and is lost is tried again after a second', () => {
  const { link, actions, delaysMs } = after(['missing', 'due', 'missing', 'due', 'opened', 'lost', 'due']);
  expect(link.state).toBe('opening');
  expect(actions).toEqual(['wait', 'open', 'wait', 'open', 'none', 'wait', 'open']);
  expect(delaysMs.at(-1)).toBe(1000);
});

test.each<LinkInput[]>([['missing'], ['refused'], ['opened'], ['opened', 'lost'], []])(
  'a stop is for good after %s %s',
  (...inputs) => {
    const { link, actions } = after([...inputs, 'stop', 'due', 'lost', 'missing', 'refused']);
    expect(link.state).toBe('closed');
    expect(actions.slice(inputs.length)).toEqual(['shut', 'none', 'none', 'none', 'none']);
  },
);

test('a port that opens after it was stopped is shut', () => {
  expect(after(['stop', 'opened'])).toMatchObject({ link: { state: 'closed' }, actions: ['shut', 'shut'] });
});

test('what means nothing in a state changes nothing', () => {
  expect(after(['opened', 'due', 'missing'])).toMatchObject({
    link: { state: 'open' },
    actions: ['none', 'none', 'none'],
  });
  expect(after(['lost', 'due'])).toMatchObject({ link: { state: 'opening' }, actions: ['none', 'none'] });
});
