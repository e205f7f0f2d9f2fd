// The life of one serial device, as a pure state machine: what state it is in, and what is to be done next. It never
// gives up: a device may be missing at start, be unplugged at any time, and come back under the same path.
//
//   state     opened          refused            lost         due          stop
//   opening   open            missing | refused  -            -            closed
//   open      -               -                  lost         -            closed
//   missing   -               -                  -            opening      closed    no such path
//   refused   -               -                  -            opening      closed    there, but not to be opened
//   lost      -               -                  -            opening      closed    was open, went away
//   closed    closed (shut)   -                  -            -            -         for good
//
// From missing, refused and lost an attempt is due after one second, then two, four, and five for ever, each a fifth
// more or less, so that many ports do not try in step.

export type LinkState = 'opening' | 'open' | 'missing' | 'refused' | 'lost' | 'closed';

export interface Link {
  state: LinkState;
  /** Attempts in vain since the port was last open. */
  failures: number;
}

export type LinkInput = 'opened' | 'missing' | 'refused' | 'lost' | 'due' | 'stop';

export type LinkAction = { kind: 'none' } | { kind: 'open' } | { kind: 'wait'; delayMs: number } | { kind: 'shut' };

export const RETRY_MS_MIN = 1000;
export const RETRY_MS_MAX = 5000;
const JITTER = 0.2;

/** The link of a port that is being opened for the first time. */
export const FIRST_LINK: Link = { state: 'opening', failures: 0 };

/** The state after `input`, and what to do for it. `random` is from 0 to 1. An input that means nothing changes nothing. */
export function step(link: Link, input: LinkInput, random: number): { link: Link; action: LinkAction } {
  if (input === 'stop') return { link: { ...link, state: 'closed' }, action: { kind: 'shut' } };
  switch (link.state) {
    case 'opening':
      if (input === 'opened') return { link: { state: 'open', failures: 0 }, action: { kind: 'none' } };
      if (input === 'missing' || input === 'refused') return waitIn(input, link.failures, random);
      break;
    case 'open':
      if (input === 'lost') return waitIn('lost', 0, random);
      break;
    case 'closed':
      // The attempt that was under way when the port was stopped has succeeded.
      if (input === 'opened') return { link, action: { kind: 'shut' } };
      break;
    default:
      if (input === 'due') return { link: { ...link, state: 'opening' }, action: { kind: 'open' } };
  }
  return { link, action: { kind: 'none' } };
}

function waitIn(state: LinkState, failures: number, random: number): { link: Link; action: LinkAction } {
  const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** failures) * (1 - JITTER + 2 * JITTER * random);
  return { link: { state, failures: failures + 1 }, action: { kind: 'wait', delayMs } };
}
