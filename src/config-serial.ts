// The settings of one serial port, as a part of the schema: those that every port has, and those of its framing. A new
// framing is a new entry of FRAMINGS, see also serial/framing.ts.

import { bridge } from './config-bridge.ts';
import { modbus } from './config-modbus.ts';
import {
  byDefault,
  bytes,
  duration,
  either,
  flag,
  group,
  integer,
  oneOf,
  optional,
  required,
} from './config-setting.ts';
import { decodeRule } from './config-decode.ts';
import { scalar, text, variants } from './config-setting.ts';
import { parseHex, parseNodeName, parseTopicName, parseUsbNumber, type Parsed } from './config-units.ts';

const MIB = 2 ** 20;

const topicName = scalar("topic's name", parseTopicName);
const shortName = scalar('letters, digits, dots, underscores, hyphens', parseNodeName);

const hex = scalar('1 to 16 bytes in hex', (input) => parseHex(input, { min: 1, max: 16 }));

const hexNumber = scalar('four hex digits in quotes', parseUsbNumber);

const usbDevice = group({
  vid: required(hexNumber, "The maker's number (idVendor).", '2341'),
  pid: required(hexNumber, "The product's number (idProduct).", '0043'),
  serial: optional(text('text', 256), 'any', "The device's serial number, where it has one.", '85736323838351F0E1E1'),
  interface: optional(integer(0, 255), 'any', 'The number of the interface, where the device has several ports.', 0),
});

const keyField = either(
  scalar('none', (input): Parsed<'none'> => (input === 'none' ? input : { refused: 'must be none, or a field' })),
  group({
    field: required(
      integer(1, 1000),
      'Which field of the line is the key, counted from 1, without spaces around it.',
      1,
    ),
    separator: byDefault(text('1 to 8 characters', 8), ',', 'What stands between fields.'),
  }),
);

const lines = {
  delimiter: byDefault(
    text('1 to 16 bytes', 16),
    '\n',
    'What ends a line; a carriage return before a line feed belongs to it.',
  ),
  encoding: byDefault(
    oneOf(['utf8', 'latin1', 'raw']),
    'utf8',
    "The device's character set. `latin1` is turned into UTF-8; `raw` keeps the bytes and does not look at them.",
  ),
  invalid: byDefault(
    oneOf(['keep', 'drop']),
    'keep',
    'What becomes of a line that should be UTF-8 and is not; it is counted either way.',
  ),
  lineMax: byDefault(bytes(1, MIB / 4), '64KiB', 'Longest line. Each port may hold this much memory.'),
  overlong: byDefault(
    oneOf(['drop', 'cut']),
    'drop',
    '`drop` leaves a longer line out, `cut` makes several of it; it is counted either way.',
  ),
  key: optional(
    keyField,
    "the port's name is the key",
    "Takes a record's key from a field of the line, so that each sensor behind the port keeps its own order over " +
      'partitions; `key: none` gives records without a key.',
  ),
};

const frameMax = byDefault(bytes(1, MIB / 4), '64KiB', 'Longest frame. Each port may hold this much memory.');

const overlongFrame = byDefault(
  oneOf(['drop', 'cut']),
  'drop',
  '`drop` leaves a longer frame out, `cut` makes several of it; it is counted either way.',
);

const sync = optional(
  hex,
  'none',
  'What every frame begins with. It stays a part of the frame, and tells where one begins after bytes were lost.',
  'aa55',
);

const idle = byDefault(
  duration(1, 3_600_000),
  '100ms',
  'After a silence this long the next byte begins a frame; what is unfinished is skipped and counted. USB adapters ' +
    'pass bytes on about every 16 ms.',
);

const delimited = {
  delimiter: required(
    hex,
    'What ends a frame; it is taken off. What is between two of them that follow one another is no frame.',
    '7e',
  ),
  frameMax,
  overlong: overlongFrame,
};

const fixed = {
  length: required(integer(1, MIB / 4), 'Bytes of every frame.', 12),
  sync,
  idle,
};

const lengthPrefixed = {
  lengthBytes: byDefault(oneOf([1, 2, 4]), 2, 'Bytes of the length.'),
  endian: byDefault(oneOf(['big', 'little']), 'big', 'Whether the higher or the lower byte of the length is first.'),
  lengthOffset: byDefault(integer(0, 64), 0, 'Bytes of a frame before its length.'),
  lengthAdjust: byDefault(
    integer(-1024, 1024),
    0,
    'Added to the length to get the number of bytes behind it: 2 where a checksum of two bytes is not counted in it, ' +
      '-3 where it counts itself (two bytes) and one byte before it.',
  ),
  header: byDefault(
    oneOf(['drop', 'keep']),
    'drop',
    '`drop`: a record is what stands behind the length; `keep`: it is the whole frame.',
  ),
  sync,
  frameMax: byDefault(
    bytes(1, MIB / 4),
    '4KiB',
    'Longest frame with its header. A length beyond it means that bytes were lost, so choose it no larger than the ' +
      "device's.",
  ),
  idle,
};

const idleGap = {
  gap: byDefault(
    duration(1, 60_000),
    '50ms',
    'The silence that ends a frame. USB adapters pass bytes on about every 16 ms, so less than 20ms may cut frames.',
  ),
  frameMax,
  overlong: overlongFrame,
};

/** What each framing may be told, by its name. */
const FRAMINGS = {
  lines,
  delimited,
  fixed,
  'length-prefixed': lengthPrefixed,
  'idle-gap': idleGap,
  'modbus-rtu': modbus,
  bridge,
};

const framingNames = Object.keys(FRAMINGS) as (keyof typeof FRAMINGS)[];

const ofEveryPort = {
  path: optional(
    text('path of a device', 4096),
    'required without `usb`',
    'The device. Names under /dev/serial/by-id stay the same when ports are plugged in another order; `headwater ' +
      'serial list` shows them.',
    '/dev/serial/by-id/usb-boiler',
  ),
  topic: required(topicName, "The log's topic that the records go to.", 'boiler'),
  name: optional(
    shortName,
    'the last part of the path, or `usb-VID-PID`',
    "The port's name in records, status and metrics.",
    'boiler',
  ),
  baud: byDefault(integer(50, 4_000_000), 115_200, 'Bits a second on the line; any number that the device can make.'),
  dataBits: byDefault(oneOf([5, 6, 7, 8]), 8, 'Data bits of a character.'),
  parity: byDefault(oneOf(['none', 'even', 'odd']), 'none', 'Parity bit of a character.'),
  stopBits: byDefault(oneOf([1, 2]), 1, 'Stop bits of a character.'),
  flowControl: byDefault(
    oneOf(['none', 'rtscts', 'xonxoff']),
    'none',
    "Without it a device that sends while the card is slow can overrun the kernel's buffer of some KiB.",
  ),
  dtr: byDefault(
    oneOf(['on', 'off', 'pulse']),
    'on',
    'The line DTR after an opening. The kernel switches it on, by which most Arduinos reset; boards with USB of their ' +
      'own send nothing without it. `off` switches it off again at once, `pulse` does so for 100 ms, to reset a board.',
  ),
  rts: byDefault(oneOf(['on', 'off']), 'on', 'The line RTS after an opening.'),
  hupcl: byDefault(
    flag,
    true,
    'Switches DTR and RTS off when the port is closed. With `false` they stay on, and a board does not reset at the ' +
      'next opening.',
  ),
  usb: optional(
    usbDevice,
    'any',
    'The device by what it is, wherever it is plugged in. With `path`, the device at that path must be this one.',
  ),
  framing: byDefault(
    oneOf(framingNames),
    'lines',
    'How records are told apart in the stream of bytes. Each framing has settings of its own.',
  ),
  decode: byDefault(
    decodeRule,
    'raw',
    'What the bytes of a frame become: `raw`, as they are; `utf8` or `json`, checked; or JSON of fields. A frame that ' +
      'does not fit goes to a side topic as it came. See docs/serial-decoding.md.',
    {
      struct: {
        fields: [
          { name: 'id', type: 'u16' },
          { name: 't', type: 'i16', scale: 0.01 },
        ],
      },
      key: '{id}',
    },
  ),
};

export const serialPort = variants('framing', ofEveryPort, FRAMINGS, 'lines');
