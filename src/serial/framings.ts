// Which framings there are: one line each. Where it is missing, this does not compile.

import { openBridgeFraming } from './bridge/bridge.ts';
import { withDecoding } from './decoding.ts';
import { openFrameFraming } from './frame-framing.ts';
import type { Framing, FramingNeeds } from './framing.ts';
import { openLineFraming } from './line-framing.ts';
import { openModbusFraming } from './modbus-framing.ts';
import type { FramingConfig, PortConfig } from './settings.ts';

type Open<C> = (config: C, needs: FramingNeeds) => Framing;

const FRAMINGS: { [K in FramingConfig['kind']]: Open<Extract<FramingConfig, { kind: K }>> } = {
  lines: openLineFraming,
  delimited: openFrameFraming,
  fixed: openFrameFraming,
  'length-prefixed': openFrameFraming,
  'idle-gap': openFrameFraming,
  bridge: openBridgeFraming,
  'modbus-rtu': openModbusFraming,
};

/** The framing that `config` asks for, with the port's rule for decoding behind it. */
export function openFraming(config: Pick<PortConfig, 'framing' | 'decoding'>, needs: FramingNeeds): Framing {
  const { framing, decoding } = config;
  const open = (inner: FramingNeeds): Framing => (FRAMINGS[framing.kind] as Open<FramingConfig>)(framing, inner);
  const isPlain = decoding.decoder === undefined && decoding.channels.length === 0;
  return isPlain ? open(needs) : withDecoding(decoding, needs, open);
}
