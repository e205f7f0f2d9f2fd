// Which framings there are: one line each. Where it is missing, this does not compile.

import { openFrameFraming } from './frame-framing.ts';
import type { Framing, FramingNeeds } from './framing.ts';
import { openLineFraming } from './line-framing.ts';
import type { FramingConfig } from './settings.ts';

type Open<C> = (config: C, needs: FramingNeeds) => Framing;

const FRAMINGS: { [K in FramingConfig['kind']]: Open<Extract<FramingConfig, { kind: K }>> } = {
  lines: openLineFraming,
  delimited: openFrameFraming,
  fixed: openFrameFraming,
  'length-prefixed': openFrameFraming,
  'idle-gap': openFrameFraming,
};

/** The framing that `config` asks for. */
export function openFraming(config: FramingConfig, needs: FramingNeeds): Framing {
  return (FRAMINGS[config.kind] as Open<FramingConfig>)(config, needs);
}
