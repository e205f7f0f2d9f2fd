// The configuration: what is told about mistakes, what the environment can do, and that the sample and the reference
// are the schema's own.
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { KAFKA_DEFAULTS } from '../src/config-kafka.ts';
import { configError, explainConfig, loadConfig, type ConfigInput } from '../src/config.ts';
import { printEffective, printReference, printSample } from '../src/config-print.ts';
import { formatAge, formatAmount, formatLife } from '../src/config-units.ts';
import { DEFAULT_GROUP_SETTINGS } from '../src/groups/groups.ts';
import { DEFAULT_TRANSACTION_SETTINGS } from '../src/transactions/transactions.ts';
import { HeadwaterError } from '../src/errors.ts';

const machine = { hostname: () => 'pump 7', diskBytes: () => 64 * 2 ** 30 };

function load(text: string, env: Record<string, string> = {}) {
  return loadConfig({ text, env, machine });
}

function mistakesOf(input: ConfigInput): string[] {
  try {
    loadConfig({ machine, ...input });
  } catch (error) {
    expect(error).toBeInstanceOf(HeadwaterError);
    expect((error as HeadwaterError).code).toBe('CONFIG_INVALID');
    return (error as HeadwaterError).message.split('\n');
  }
  return [];
}

const ISSUE_SAMPLE = `
node: { name: pump-7 }                 # default: the host name
data: { dir: /var/lib/headwater, budget: 8GiB }
commit: { interval: 100ms, burst: 5m }
mqtt: { listen: 127.0.0.1:1883 }
kafka: { listen: 127.0.0.1:9092 }
http: { listen: 127.0.0.1:8880 }
serial:
  - { path: /dev/serial/by-id/usb-boiler, baud: 115200, framing: lines, topic: boiler }
routes:
  - { mqtt: "plant/+line/+machine/#", topic: readings, key: "{line}/{machine}" }
topics:
  readings: { partitions: 4, retention: 7d, retentionBytes: 2GiB }
mirror:
  - { name: dc, bootstrap: ["kafka-1.dc.example:9092"], topics: ["*"], rename: "{node}.{topic}" }
`;

describe('the file', () => {
  test('the kind of card decides how often commits are made, unless it is said', () => {
    expect(load('').commit).toMatchObject({ profile: 'sd', intervalMs: 100 });
    expect(load('commit: { profile: emmc }').commit.intervalMs).toBe(50);
    const ssd = load('commit: { profile: ssd, interval: 1s }\ncard: { size: 256GiB, endurance: 150TB }');
    expect(ssd.commit.intervalMs).toBe(1000);
    expect(ssd.card).toMatchObject({ bytes: 256 * 2 ** 30, enduranceBytes: 150e12, cycles: 600 });
    expect(mistakesOf({ text: 'commit: { profile: sdd }' })).toEqual([
      'headwater.yaml:1:20: commit.profile must be one of sd, emmc, ssd, not "sdd", did you mean sd?',
    ]);
  });

  test('without a file everything is on loopback with the documented defaults', () => {
    const { locate, ...config } = loadConfig({ machine });
    expect(locate(['mqtt', 'listen'])).toBe('default');
    expect(config).toEqual({
      node: { name: 'pump-7' },
      data: { dir: `${process.cwd()}/data`, budgetBytes: 8 * 2 ** 30 },
      commit: { profile: 'sd', intervalMs: 100, burstMs: 300_000, relaxedMs: 5000 },
      card: { bytes: undefined, enduranceBytes: undefined, cycles: 500, fallbackBytes: 64 * 2 ** 30 },
      clock: { trust: 'auto', holdMs: 600_000 },
      mqtt: {
        listen: { host: '127.0.0.1', port: 1883 },
        insecure: false,
        users: [],
        packetBytesMax: 1_000_000,
        clientsMax: 1000,
        publish: [],
      },
      kafka: {
        listen: { host: '127.0.0.1', port: 9092 },
        insecure: false,
        advertise: undefined,
        listeners: [],
        clientsMax: 1000,
        groups: DEFAULT_GROUP_SETTINGS,
        transactions: DEFAULT_TRANSACTION_SETTINGS,
        settings: KAFKA_DEFAULTS,
      },
      http: { listen: { host: '127.0.0.1', port: 8880 }, insecure: false, hosts: [] },
      serial: [],
      routes: [],
      topics: new Map(),
      mirror: [],
      log: { level: 'info' },
    });
  });

  test('a small disk halves the budget instead of being filled', () => {
    const small = { ...machine, diskBytes: () => 4 * 2 ** 30 };
    expect(loadConfig({ machine: small }).data.budgetBytes).toBe(2 * 2 ** 30);
    expect(loadConfig({ machine: { ...machine, diskBytes: () => undefined } }).data.budgetBytes).toBe(8 * 2 ** 30);
  });

  test('the names that the project promises are read, with units turned into numbers', () => {
    const config = load(ISSUE_SAMPLE);
    expect(config.node.name).toBe('pump-7');
    expect(config.data).toEqual({ dir: '/var/lib/headwater', budgetBytes: 8 * 2 ** 30 });
    expect(config.serial).toEqual([
      {
        path: '/dev/serial/by-id/usb-boiler',
        topic: 'boiler',
        baud: 115_200,
        dataBits: 8,
        parity: 'none',
        stopBits: 1,
        framing: 'lines',
        decode: 'raw',
        delimiter: '\n',
        encoding: 'utf8',
        invalid: 'keep',
        flowControl: 'none',
        dtr: 'on',
        rts: 'on',
        hupcl: true,
        lineMax: 65_536,
        overlong: 'drop',
      },
    ]);
    expect(config.routes).toEqual([
      { mqtt: 'plant/+line/+machine/#', topic: 'readings', key: '{line}/{machine}', node: false },
    ]);
    expect(config.topics.get('readings')).toEqual({
      partitions: 4,
      retentionMs: 7 * 86_400_000,
      retentionBytes: 2 * 2 ** 30,
    });
    expect(config.mirror).toEqual([
      {
        name: 'dc',
        bootstrap: ['kafka-1.dc.example:9092'],
        topics: ['*'],
        rename: '{node}.{topic}',
        recreated: 'stop',
        create: { allowed: true, replicationFactor: -1, configs: {} },
      },
    ]);
  });

  test('a section whose lines are all commented out is as good as none', () => {
    expect(load('mqtt:\n  # listen: off\nserial:\n').mqtt.listen).toEqual({ host: '127.0.0.1', port: 1883 });
  });

  test('off shuts a door, never and none lift a limit', () => {
    const config = load('mqtt: { listen: off }\ntopics: { a: { retention: never, retentionBytes: none } }');
    expect(config.mqtt.listen).toBeUndefined();
    expect(config.topics.get('a')).toEqual({ retentionMs: -1, retentionBytes: -1 });
  });

  test('a serial port has the settings of its framing only', () => {
    const port = (settings: string) => `serial: [{ path: /dev/a, topic: a, ${settings} }]`;
    expect(load(port('framing: delimited, delimiter: "7e"')).serial[0]).toMatchObject({
      framing: 'delimited',
      delimiter: Buffer.from([0x7e]),
      frameMax: 65_536,
    });
    expect(mistakesOf({ text: port('framing: fixed, length: 8, delimiter: "0a"') })).toEqual([
      expect.stringContaining('serial[0].delimiter is a setting of framing: lines, delimited, not of framing: fixed'),
    ]);
    expect(mistakesOf({ text: port('framing: fixed, lenght: 8') })).toEqual([
      expect.stringContaining('serial[0].length is required'),
      expect.stringContaining('serial[0].lenght is not a setting, did you mean length?'),
    ]);
    expect(mistakesOf({ text: port('framing: line, lineMax: 1KiB') })).toEqual([
      expect.stringContaining('serial[0].framing must be one of lines, delimited'),
    ]);
    expect(mistakesOf({ text: port('framing: 5') })).toHaveLength(1);
    expect(mistakesOf({ text: port('framing: delimited, delimiter: 10') })[0]).toContain('(put it in quotes)');
    expect(mistakesOf({ text: port('framing: delimited, delimiter: "0d0"') })[0]).toContain('1 to 16 bytes in hex');
  });

  test('a serial device may be told by what it is', () => {
    const usb = (text: string) => `serial: [{ usb: ${text}, topic: a }]`;
    expect(load(usb('{ vid: "2341", pid: "AB43" }')).serial[0]).toMatchObject({ usb: { vid: '2341', pid: 'ab43' } });
    expect(mistakesOf({ text: usb('{ vid: 0403, pid: "6001" }') })).toEqual([
      expect.stringContaining('must be four hex digits such as "2341", not 403 (put it in quotes)'),
    ]);
  });

  test('the settings of a framing may come from the environment', () => {
    const env = { HEADWATER_SERIAL__0__PATH: '/dev/a', HEADWATER_SERIAL__0__TOPIC: 'a' };
    const fixed = { HEADWATER_SERIAL__0__FRAMING: 'fixed', HEADWATER_SERIAL__0__LENGTH: '12' };
    expect(loadConfig({ env: { ...env, ...fixed }, machine }).serial[0]).toMatchObject({
      framing: 'fixed',
      length: 12,
    });
  });

  test('the key of a serial line is a field, or none', () => {
    const none = explainConfig({ text: 'serial: [{ path: /dev/a, topic: a, key: none }]', machine });
    expect(none.config.serial[0]).toMatchObject({ key: 'none' });
    expect(printEffective(none)).toMatch(/^ {4}key: none/m);
    const field = load('serial: [{ path: /dev/a, topic: a, key: { field: 2 } }]');
    expect(field.serial[0]).toMatchObject({ key: { field: 2, separator: ',' } });
    expect(mistakesOf({ text: 'serial: [{ path: /dev/a, topic: a, key: nome }]' })[0]).toContain('must be none, or a');
    expect(mistakesOf({ text: 'serial: [{ path: /dev/a, topic: a, key: { feld: 1, field: 0 } }]' })).toHaveLength(2);
  });

  test.each([
    ['250ms', 250],
    ['1.5s', 1500],
    ['1m', 60_000],
  ])('the duration %s is %i ms', (text, ms) => {
    expect(load(`commit: { interval: ${text} }`).commit.intervalMs).toBe(ms);
  });
});

describe('mistakes', () => {
  test('ten mistakes are told as ten errors in one pass, each with its line and column', () => {
    const text = [
      'nod: { name: pump-7 }', // 1: a section's name
      'data: { budget: 8 }', // 2: no unit
      'commit: { interval: 100, burst: 5 minutes }', // 3 and 4
      'mqtt: { lisen: 127.0.0.1:1883 }', // 5: a setting's name
      'kafka: { listen: 0.0.0.0:9092 }', // 6: open to everybody
      'serial:',
      '  - { path: /dev/ttyUSB0, topic: a b, parity: evn }', // 7 and 8
      'routes:',
      '  - { mqtt: "a/#" }', // 9: no topic
      'topics: { readings: { partitions: 0 } }', // 10
    ].join('\n');
    const mistakes = mistakesOf({ file: 'headwater.yaml', text });
    expect(mistakes).toEqual([
      'headwater.yaml:1:1: nod is not a setting, did you mean node?',
      expect.stringContaining('headwater.yaml:2:17: data.budget must be a size such as'),
      expect.stringContaining('headwater.yaml:3:21: commit.interval must be a duration such as'),
      expect.stringContaining('headwater.yaml:3:33: commit.burst must be a duration such as'),
      'headwater.yaml:4:9: mqtt.lisen is not a setting, did you mean listen?',
      expect.stringContaining('headwater.yaml:5:18: kafka.listen 0.0.0.0:9092 is an address that other machines reach'),
      expect.stringContaining("headwater.yaml:7:34: serial[0].topic must be a topic's name"),
      'headwater.yaml:7:47: serial[0].parity must be one of none, even, odd, not "evn", did you mean even?',
      'headwater.yaml:9:5: routes[0].topic is required',
      'headwater.yaml:10:35: topics.readings.partitions must be a whole number from 1 to 4096, not 0',
    ]);
    expect(mistakes[2]).toContain('(the unit is missing)');
  });

  test('a setting in the wrong place is pointed to its own', () => {
    expect(mistakesOf({ text: 'retention: 7d' })).toEqual([
      'headwater.yaml:1:1: retention is not a setting here, did you mean topics.NAME.retention?',
    ]);
  });

  test('what is not YAML is told with its place, and nothing else is guessed', () => {
    const mistakes = mistakesOf({ text: 'mqtt: { listen: off\nkafka: [' });
    expect(mistakes.length).toBeGreaterThan(0);
    for (const mistake of mistakes) expect(mistake).toMatch(/^headwater\.yaml:\d+:\d+: /);
  });

  test('a name that is given twice is an error', () => {
    expect(mistakesOf({ text: 'mqtt: {}\nmqtt: {}' })).toEqual([
      expect.stringMatching(/^headwater\.yaml:2:1: .*unique/),
    ]);
  });

  test('a file that cannot be read is named', () => {
    expect(mistakesOf({ file: '/nowhere/headwater.yaml' })).toEqual([
      '/nowhere/headwater.yaml cannot be read: there is no such file',
    ]);
    expect(mistakesOf({ file: tmpdir() })).toEqual([`${tmpdir()} cannot be read: it is a folder`]);
  });

  test('a door off loopback opens only when insecure is said', () => {
    expect(mistakesOf({ text: 'http: { listen: "[::]:8880" }' })[0]).toContain('http.insecure: true');
    expect(load('http: { listen: "[::]:8880", insecure: true }').http.listen).toEqual({ host: '::', port: 8880 });
    expect(load('mqtt: { listen: 127.8.9.10:1 }\nhttp: { listen: localhost:0 }').http.listen?.host).toBe('localhost');
  });

  test('two doors on one address are told, two on any free port are not', () => {
    expect(mistakesOf({ text: 'mqtt: { listen: 127.0.0.1:9092 }' })).toEqual([
      expect.stringContaining('kafka.listen is the same address as mqtt.listen'),
    ]);
    expect(mistakesOf({ text: 'mqtt: { listen: 127.0.0.1:0 }\nhttp: { listen: 127.0.0.1:0 }' })).toEqual([]);
  });

  test('repeated ports and mirrors, and names that could touch a prototype, are errors', () => {
    const text = [
      'serial: [{ path: /dev/a, topic: a }, { path: /dev/a, topic: b }]',
      'mirror: [{ name: dc, bootstrap: [a:1] }, { name: dc, bootstrap: [b:1], rename: "{nod}" }]',
      'topics: { constructor: {}, __proto__: {}, "a b": {} }',
    ].join('\n');
    expect(mistakesOf({ text }).map((line) => line.replace(/^.*?: /, ''))).toEqual([
      'serial[1].path is the same as that of serial[0]',
      'mirror[1].name is the same as that of mirror[0]',
      expect.stringContaining('mirror[1].rename may hold'),
      'topics.constructor is a name that cannot be used here',
      'topics.__proto__ is a name that cannot be used here',
      expect.stringContaining("topics.a b is not a topic's name"),
    ]);
  });

  test('a room can report a mistake of its own with the place of the setting', () => {
    const config = load('routes:\n  - { mqtt: "a/#/b", topic: t }');
    const error = configError(config, [{ path: ['routes', 0, 'mqtt'], message: '# must be last' }]);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toBe('headwater.yaml:2:13: routes[0].mqtt: # must be last');
  });

  test.each(['5', '"text"', '[1, 2]', 'mqtt: 5', 'mqtt: [1]', 'serial: {}', 'serial: [5]', 'topics: [a]', 'mirror: x'])(
    'the wrong kind of thing (%s) is an error, not a crash',
    (text) => {
      expect(mistakesOf({ text }).length).toBeGreaterThan(0);
    },
  );
});

test('whatever a file says, it is a configuration or a list of mistakes', () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  console.log(`SEED=${seed}`);
  let state = seed;
  const random = (below: number): number => {
    // Park and Miller's minimal generator.
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  const pieces = [
    ' ',
    '\n',
    ': ',
    '{',
    '}',
    '[',
    ']',
    '"',
    '- ',
    '&a ',
    '*a',
    '!!binary ',
    '0',
    '-1',
    'null',
    '__proto__',
  ];
  for (let round = 0; round < 400; round += 1) {
    let text = ISSUE_SAMPLE;
    for (let change = random(4); change >= 0; change -= 1) {
      const at = random(text.length);
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? '') + text.slice(at + random(12));
    }
    const mistakes = mistakesOf({ text });
    for (const mistake of mistakes) expect(mistake).toMatch(/^headwater\.yaml(:\d+:\d+)?: ./);
  }
});

test('aliases that multiply without end are a mistake, not a full memory', () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level += 1) {
    const name = String.fromCharCode(96 + level);
    lines.push(
      `${String.fromCharCode(97 + level)}: &${String.fromCharCode(97 + level)} [${`*${name}, `.repeat(9)}*${name}]`,
    );
  }
  expect(mistakesOf({ text: lines.join('\n') })).toEqual([expect.stringMatching(/^headwater\.yaml: .*alias/i)]);
});

test("settings of the Kafka door have Kafka's names, dots and all, and the environment leaves the dots out", () => {
  const text = 'kafka: { group.initial.rebalance.delay.ms: 0, offsets.retention.minutes: 60 }';
  const { groups } = load(text, { HEADWATER_KAFKA__GROUP_MAX_SIZE: '7' }).kafka;
  expect(groups).toMatchObject({ initialRebalanceDelayMs: 0, offsetsRetentionMs: 3_600_000, sizeMax: 7 });
  expect(
    mistakesOf({ text: 'kafka:\n  group.min.session.timeout.ms: 9000\n  group.max.session.timeout.ms: 8000' }),
  ).toEqual([
    'headwater.yaml:3:33: kafka.group.max.session.timeout.ms is less than group.min.session.timeout.ms, 9000',
  ]);
});

test('each listener of the Kafka door has an address of its own, is as exposed as the first, and no other has it', () => {
  const listeners = 'listeners: [{ listen: 127.0.0.1:9094, advertise: gw.example:1 }, { listen: 127.0.0.1:9095 }]';
  const { kafka } = load(`kafka: { ${listeners} }`);
  expect(kafka.listeners).toMatchObject([
    { listen: { host: '127.0.0.1', port: 9094 }, advertise: { host: 'gw.example', port: 1 } },
    { listen: { host: '127.0.0.1', port: 9095 } },
  ]);
  const text = 'kafka:\n  listeners:\n    - listen: 0.0.0.0:9094\n    - listen: 127.0.0.1:9092';
  expect(mistakesOf({ text })).toEqual([
    expect.stringMatching(/^headwater.yaml:3:15: kafka.listeners\[0\].listen 0.0.0.0:9094 is an address that other/),
    expect.stringMatching(/^headwater.yaml:4:15: kafka.listeners\[1\].listen is the same address as kafka.listen/),
  ]);
});

describe('the environment', () => {
  test('a variable counts more than the file, and is named in errors', () => {
    const text = 'mqtt: { listen: 127.0.0.1:1 }';
    expect(load(text, { HEADWATER_MQTT__LISTEN: '127.0.0.1:2' }).mqtt.listen?.port).toBe(2);
    expect(load(text, { HEADWATER_MQTT__PACKET_MAX: '2kB' }).mqtt.packetBytesMax).toBe(2000);
    expect(load(text, { HEADWATER_MQTT__CLIENTS: '5' }).mqtt.clientsMax).toBe(5);
    expect(mistakesOf({ text, env: { HEADWATER_MQTT__CLIENTS: 'many' } })).toEqual([
      'HEADWATER_MQTT__CLIENTS: mqtt.clients must be a whole number from 1 to 20000, not "many"',
    ]);
  });

  test('lists and groups are JSON, and one field of an entry can be set', () => {
    const env = {
      HEADWATER_MIRROR: '[{"name": "dc", "bootstrap": ["kafka:9092"]}]',
      HEADWATER_MIRROR__0__RENAME: '{topic}',
      HEADWATER_TOPICS__readings__RETENTION: '1d',
    };
    const config = load('', env);
    expect(config.mirror[0]).toMatchObject({ name: 'dc', bootstrap: ['kafka:9092'], rename: '{topic}' });
    expect(config.topics.get('readings')?.retentionMs).toBe(86_400_000);
    expect(config.locate(['mirror', 0, 'rename'])).toBe('HEADWATER_MIRROR__0__RENAME');
    expect(config.locate(['mirror', 0, 'name'])).toBe('HEADWATER_MIRROR');
  });

  test('a list that is no JSON is told as such, not as a text in its place', () => {
    const mistakes = mistakesOf({ env: { HEADWATER_MIRROR: '[{"name": "dc"}' } });
    expect(mistakes).toEqual([expect.stringMatching(/^HEADWATER_MIRROR: is not JSON: ./)]);
  });

  test('text stays text even where it looks like a number', () => {
    expect(load('', { HEADWATER_NODE__NAME: '7' }).node.name).toBe('7');
  });

  test('a variable that is nearly a setting is an error, what a platform puts there is let pass', () => {
    expect(mistakesOf({ env: { HEADWATER_MQTT__LISEN: 'off' } })).toEqual([
      'HEADWATER_MQTT__LISEN: is not a setting, did you mean HEADWATER_MQTT__LISTEN?',
    ]);
    expect(mistakesOf({ env: { HEADWATER_ROUTS: '[]' } })[0]).toContain('HEADWATER_ROUTES');
    expect(mistakesOf({ env: { HEADWATER_SERIAL__2__PATH: '/dev/a' } })[0]).toContain('the next is number 0');
    expect(mistakesOf({ env: { HEADWATER_PORT: 'tcp://10.0.0.1:1883', HEADWATER_URL: 'http://x' } })).toEqual([]);
  });
});

describe('what is printed', () => {
  test.each([
    [0, '0s'],
    [999, '0s'],
    [59_999, '59s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [90_061_000, '1d 1h'],
    [86_400_000 * 400, '400d'],
  ])('%i ms are %s to people', (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });

  test.each([
    [0, '0 B'],
    [999.4, '999 B'],
    [999.9, '1.0 kB'],
    [17_000, '17.0 kB'],
    [999_900, '1.0 MB'],
    [14_688_000_000, '14.7 GB'],
    [512e9, '512 GB'],
    [32e12, '32.0 TB'],
  ])('%d bytes are %s to people', (bytes, text) => {
    expect(formatAmount(bytes)).toBe(text);
  });

  test.each([
    [1000, 'more than 100 years'],
    [10.94, '10.9 years'],
    [0.2, '73 days'],
    [0, '0 days'],
  ])('%d years are %s to people', (years, text) => {
    expect(formatLife(years)).toBe(text);
  });

  test('the sample file is the schema as it is', () => {
    expect(readFileSync('deploy/headwater.yaml', 'utf8')).toBe(printSample());
  });

  test('the reference is the schema as it is', () => {
    expect(readFileSync('docs/config.md', 'utf8')).toBe(printReference());
  });

  test('the sample file is valid as it stands, and with everything in it put into effect', () => {
    const sample = printSample();
    expect(load(sample).data.dir).toBe('/var/lib/headwater');
    const all = sample.replaceAll(/^#(?=\S|\s\s)/gm, '').replaceAll(/^ {2}#(?=\S)/gm, '  ');
    const config = load(all);
    expect(config.serial[0]).toMatchObject({ key: { field: 1, separator: ',' } });
    expect(config.mirror[0]?.create.configs).toEqual({ 'retention.ms': '2592000000' });
    expect(config.routes[0]?.headers).toEqual({ line: '{line}' });
    expect(config.data.budgetBytes).toBe(8 * 2 ** 30);
  });

  test('the effective settings can be used as a file, and say where each came from', () => {
    const loaded = explainConfig({ text: ISSUE_SAMPLE, env: { HEADWATER_LOG__LEVEL: 'warn' }, machine });
    const printed = printEffective(loaded);
    expect(printed).toMatch(/level: warn\s+# HEADWATER_LOG__LEVEL/);
    expect(printed).toMatch(/interval: 100ms\s+# headwater.yaml:4:21/);
    expect(printed).toMatch(/packetMax: 1MB\s+# default/);
    expect({ ...load(printed), locate: undefined }).toEqual({ ...loaded.config, locate: undefined });
  });
});
