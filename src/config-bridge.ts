// The settings of the framing `bridge`, which devices with firmware-bridge speak: see docs/firmware.md.

import { decodeRule } from './config-decode.ts';
import { byDefault, duration, group, integer, list, map, optional, required, scalar, text } from './config-setting.ts';
import { parseDurationOrNever, parseNodeName, parseTopicName, type Parsed } from './config-units.ts';

const DAY_MS = 86_400_000;

const topicName = scalar("topic's name", parseTopicName);
const shortName = scalar('letters, digits, dots, underscores, hyphens', parseNodeName);
const ageOrNever = scalar('duration, or never', (input): Parsed<number> =>
  parseDurationOrNever(input, { min: 1000, max: 365 * DAY_MS }),
);

const commands = group({
  topic: required(topicName, 'The topic whose records are commands for devices of this port.', 'boiler-commands'),
  results: optional(
    topicName,
    'the topic with `.results`',
    'The topic of the answers: one for each command.',
    'boiler-results',
  ),
  maxAge: byDefault(ageOrNever, '1m', 'A command that is older when it is read is not carried out.'),
  timeout: byDefault(duration(500, 60_000), '10s', 'How long a device has for its answer.'),
});

const channel = group({
  channel: required(text('name or pattern', 64), "The channel's name, or a pattern in which `*` is anything.", 'env/*'),
  topic: optional(topicName, 'that of the port', "The log's topic that its records go to.", 'climate'),
  decode: optional(decodeRule, 'that of the port', 'What the bytes of its records become, as `decode` of the port.', {
    struct: { fields: [{ name: 't', type: 'i16', scale: 0.01, unit: 'degC' }] },
  }),
});

export const bridge = {
  key: byDefault(
    text('template', 249),
    '{device}/{channel}',
    "A record's key; `{device}` is the device's name, `{channel}` that of the channel.",
  ),
  devices: byDefault(
    map(shortName),
    {},
    'Names of devices, by their uid in hex as the status shows it. Without one the uid is the name.',
    { '002f00464d501820': 'pump-7' },
  ),
  gaps: optional(
    topicName,
    "the port's topic with `.gaps`",
    'The topic of gap records: which records of a device will never come, and why.',
    'boiler.gaps',
  ),
  text: optional(
    topicName,
    'none',
    'A topic for the lines that devices print between frames. They are in the log of the node in any case.',
    'boiler.text',
  ),
  channels: byDefault(
    list(channel),
    [],
    'Rules for some channels of the devices: the first that fits decides. All others are decoded as the port says.',
  ),
  window: optional(
    integer(1, 255),
    '255, and 64 on a half-duplex line',
    'Records that a device may send before the first of them has arrived.',
    128,
  ),
  addresses: optional(
    list(integer(1, 32)),
    'one device, which speaks when it likes',
    'On a half-duplex line (RS-485): the addresses that may be there. They are polled.',
    [1, 2, 3],
  ),
  slack: byDefault(
    duration(0, 1000),
    '30ms',
    'On a half-duplex line: what this computer and its adapter add to the 20 ms that a device has for its answer.',
  ),
  commands: optional(commands, 'no commands', 'Commands to devices, by records of a topic.'),
};
