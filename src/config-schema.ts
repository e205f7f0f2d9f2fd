// Every setting of headwater.yaml, once: its name, what it does and costs, its bounds and its default. The checks, the
// sample file (deploy/headwater.yaml), docs/config.md and the environment's names all come from this schema. Defaults
// are in the form people write (`100ms`, `8GiB`); the schema's output is in plain numbers, named by unit in config.ts.

import type * as v from 'valibot';
import { byDefault, bytes, duration, flag, group, guarding, integer, list, listOfSome } from './config-setting.ts';
import { map, oneOf, optional, required, scalar, section, text } from './config-setting.ts';
import { formatAddress, isRefusal, parseAddress, parseBytesOrNone, parseDurationOrNever } from './config-units.ts';
import { kafkaNames } from './config-kafka.ts';
import { sasl, tls, token, users } from './config-secret.ts';
import { serialPort } from './config-serial.ts';
import {
  parseInteger,
  parseListen,
  parseMqttTopic,
  parseNodeName,
  parseTopicName,
  quote,
  type Parsed,
} from './config-units.ts';

const DAY_MS = 86_400_000;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

const listen = scalar('HOST:PORT, or off', parseListen);
const shortName = scalar('letters, digits, dots, underscores, hyphens', parseNodeName);
const template = text('template', 1024);
const address = scalar('HOST:PORT', (input): Parsed<string> => {
  const parsed = parseAddress(input);
  return isRefusal(parsed) ? parsed : formatAddress(parsed);
});
const configText = scalar('text', (input): Parsed<string> => {
  if (typeof input === 'string' || typeof input === 'number' || typeof input === 'boolean') return String(input);
  return { refused: `must be text, not ${quote(input)}` };
});
const retention = scalar('duration, 1s to 3650d, or never', (input) => {
  return parseDurationOrNever(input, { min: 1000, max: 3650 * DAY_MS });
});
const retentionBytes = scalar('size, 1MiB to 16TiB, or none', (input) => {
  return parseBytesOrNone(input, { min: MIB, max: 16 * 1024 * GIB });
});

function insecure(risk: string, without = '') {
  const doc =
    `Allows \`listen\` to be an address that other machines reach${without}, although nobody is asked for a password. ` +
    `Anybody who reaches the port can then ${risk}.`;
  return byDefault(flag, false, doc);
}

const node = section('This node.', {
  name: optional(
    shortName,
    'the host name',
    'Tells this node from others upstream. Choose it once: the topics upstream bear it.',
    'pump-7',
  ),
});

const data = section('What is kept on the card.', {
  dir: byDefault(
    text('path', 4096),
    './data',
    'The folder of the log. One headwater owns it at a time.',
    '/var/lib/headwater',
  ),
  budget: optional(
    bytes(128 * MIB, 16 * 1024 * GIB),
    '8GiB, or half of the disk where that is less',
    'Bytes that the folder may take, all of it. When they are reached, records that are upstream go, then those of topics ' +
      'with `whenFull: drop-oldest`; then publishers are held back until there is room.',
    '8GiB',
  ),
});

const commit = section('How often the card is written. A sync wears a card by about 17 kB, whatever it carries.', {
  profile: byDefault(
    oneOf(['sd', 'emmc', 'ssd']),
    'sd',
    'What the data lies on. It decides the default of `interval`, and how often the card can be written, see `card`.',
  ),
  interval: optional(
    duration(1, 60_000),
    '100ms with sd, 50ms with emmc, 10ms with ssd',
    'One commit may be made in each interval on average. A longer one spares the card, and lets a lone publisher ' +
      'wait longer once the burst is used up. A commit of 64 KiB or more is free.',
    '100ms',
  ),
  burst: byDefault(
    duration(0, DAY_MS),
    '5m',
    'Commits that were not made are saved up to this time, and may then be made without waiting.',
  ),
  relaxed: byDefault(
    duration(100, 10 * 60_000),
    '5s',
    'How long records of topics with `durability: relaxed` may wait for their commit, where no other takes them along.',
  ),
});

const card = section(
  'The card below `data.dir`: what `status` and `doctor` reckon its life by. Nothing else depends on it.',
  {
    size: optional(bytes(GIB, 1024 * 1024 * GIB), 'the size of the disk', 'Bytes of the whole card.', '32GiB'),
    endurance: optional(
      bytes(GIB, 1024 * 1024 * GIB),
      'so many times its size: 500 with sd, 2000 with emmc, 600 with ssd',
      'Bytes that can be written to it in its life, as its data sheet has them (TBW). The defaults are cautious guesses.',
      '16TB',
    ),
  },
);

const clock = section(
  'How far the wall clock is believed. A machine without a battery-backed clock starts in the past, and nobody knows the ' +
    'time before a server is reached: see docs/clocks.md.',
  {
    trust: byDefault(
      oneOf(['auto', 'synchronised', 'always']),
      'auto',
      'When times are taken from it. `auto`: once a time server keeps it; where no time service runs, or nobody can tell ' +
        '(containers), as long as it is not in the past. `synchronised`: only once a time server keeps it. `always`: whatever it says.',
    ),
    hold: byDefault(
      duration(0, DAY_MS),
      '10m',
      'How long mirrors wait with records that were stamped before the time was known. After that they are sent with the ' +
        'time they have, and a header that says so.',
    ),
  },
);

const published = group({
  topic: required(
    scalar("topic's name", parseTopicName),
    "The log's topic. It is made if it is missing; a new rule begins at its end.",
    'boiler',
  ),
  mqttTopic: byDefault(
    scalar('MQTT topic', parseMqttTopic),
    '{topic}/{key}',
    "The MQTT topic; `{topic}` and `{key}` are those of the record. The key of a serial line's records is the port's name, " +
      'or `device/channel` with `framing: bridge`.',
  ),
  qos: byDefault(
    oneOf([0, 1, 2]),
    2,
    'The highest QoS; a subscriber gets the lower of this and its own. With a persistent session and QoS 2 each record ' +
      'comes once, whatever crashes.',
  ),
});

const mqtt = section('MQTT 3.1.1 in. What is acknowledged is on the card; of a topic that is `relaxed` it was taken.', {
  listen: byDefault(listen, '127.0.0.1:1883', 'Where MQTT clients connect; `off` opens no port.'),
  insecure: insecure('publish and subscribe', ' without `users`'),
  users: guarding(
    byDefault(
      users,
      [],
      'Who may connect. Without any, everybody may who reaches the port. User names and passwords cross the network as they are.',
    ),
  ),
  packetMax: byDefault(
    bytes(1024, 1_000_000),
    '1MB',
    'Longest packet taken from a client; a longer one ends its connection before it is buffered. More than 1MB would ' +
      'not fit into a Kafka batch.',
  ),
  clients: byDefault(
    integer(1, 20_000),
    1000,
    'Connections at a time; more are refused. Each costs about 25 kB of memory.',
  ),
  publish: byDefault(
    list(published),
    [],
    'Topics of the log whose records MQTT subscribers get as well, once they are on the card: what came over serial lines ' +
      'or from Kafka clients. Not for topics of `routes`: subscribers get those messages in any case.',
  ),
});

const kafkaListener = group({
  listen: required(scalar('HOST:PORT', parseAddress), 'Where Kafka clients connect, too.', '127.0.0.1:9094'),
  advertise: optional(
    scalar('HOST:PORT', parseAddress),
    'the address that the client connected to',
    'The address that clients of this listener are told to come back to.',
    'plant-gateway.example:19094',
  ),
});

const kafka = section('Kafka clients on the site read and write the log here.', {
  listen: byDefault(listen, '127.0.0.1:9092', 'Where Kafka clients connect; `off` opens no port.'),
  insecure: insecure('read, write and delete every topic'),
  advertise: optional(
    address,
    'the address that the client connected to',
    'The address that clients are told to come back to, where containers or port forwarding hide the true one.',
    'pump-7.local:9092',
  ),
  listeners: byDefault(
    list(kafkaListener),
    [],
    'More addresses to listen at, each with the address that its clients are told: one for the site, one for what comes ' +
      'through a port forwarding. `insecure` and the limits count for all of them.',
  ),
  clients: byDefault(
    integer(1, 20_000),
    1000,
    'Connections at a time, over all listeners; more are refused. A consumer needs two or three. Each costs about 10 kB of ' +
      'memory; what requests and answers take is bounded for all of them together.',
  ),
  ...kafkaNames,
});

const http = section('Status page, health checks, metrics, and topics over REST.', {
  listen: byDefault(
    listen,
    '127.0.0.1:8880',
    'Where browsers, Prometheus and the command line connect; `off` opens no port.',
  ),
  insecure: insecure('see the status, and read, write and delete every topic', ' without `token`'),
  token: guarding(
    optional(
      token,
      'nobody is asked for one',
      'What everybody must know who asks for anything but /health/live: as a bearer token, or as the password that a ' +
        'browser asks for. It crosses the network as it is.',
      { credential: 'http-token' },
    ),
  ),
  hosts: byDefault(
    list(text('host name', 253)),
    [],
    'Names by which this node may be asked for, besides `localhost` and plain addresses. Requests for other names ' +
      'are refused, so that a page on the internet cannot reach in through the browser of somebody on the site.',
    ['pump-7.local'],
  ),
});

const route = group({
  mqtt: required(
    text('MQTT filter', 1024),
    'Which messages the rule takes: an MQTT filter, whose wildcards may have names (`+line`, `#rest`).',
    'plant/+line/+machine/#',
  ),
  topic: required(template, "The log's topic they go to; may use the names, as in `{line}`.", 'readings'),
  key: optional(template, 'the MQTT topic', "The record's key; may use the names.", '{line}/{machine}'),
  partition: optional(
    integer(0, 4095),
    'chosen by the key, as Kafka clients do',
    'Sends everything to this partition.',
    0,
  ),
  node: byDefault(flag, false, 'Adds the name of this node as the header `node`.'),
  headers: optional(map(template), 'none', 'More headers; the values may use the names.', { line: '{line}' }),
});

const topic = group({
  partitions: optional(
    integer(1, 4096),
    '1',
    'Order holds within a partition; more of them let more consumers share the work. Their number can only grow.',
    4,
  ),
  retention: optional(
    retention,
    '7d',
    'Older records are removed, a whole segment at a time. What a mirror has not sent stays.',
    '7d',
  ),
  retentionBytes: optional(
    retentionBytes,
    'none',
    'While a partition holds more than this, its oldest records are removed.',
    '2GiB',
  ),
  cleanup: optional(
    oneOf(['delete', 'compact', 'compact,delete']),
    'delete',
    'What goes of its records. `delete`: what is too old or too much. `compact`: of each key all but the latest. Or both. ' +
      'docs/retention.md tells more.',
    'compact',
  ),
  pin: optional(
    oneOf(['mirrored', 'none']),
    'mirrored',
    'Whether age and bytes wait for a mirror: `mirrored` keeps what one has not sent, `none` does not.',
    'none',
  ),
  durability: optional(
    oneOf(['synced', 'immediate', 'relaxed']),
    'synced',
    'What an acknowledgement means. `synced`: the record is on the card, by a commit that waited for `interval`. ' +
      '`immediate`: the same, and the commit waits for nothing, at the price of the card. `relaxed`: it was taken; a ' +
      'power cut or a crash within `commit.relaxed` loses it. Nobody reads it before but MQTT subscribers, who get at ' +
      'once what MQTT clients publish.',
    'synced',
  ),
  whenFull: optional(
    oneOf(['refuse', 'drop-oldest']),
    'refuse',
    'What happens when `data.budget` is reached and nothing is left that has expired or is upstream. `refuse`: publishers ' +
      'are held back until there is room. `drop-oldest`: its oldest records go, sent or not, and it is said.',
    'drop-oldest',
  ),
});

const mirror = group({
  name: required(
    shortName,
    'Its name in status and metrics, and of its progress on the card: a mirror that is renamed begins again.',
    'dc',
  ),
  bootstrap: required(listOfSome(address), 'Kafka brokers to ask first.', ['kafka-1.dc.example:9092']),
  topics: byDefault(
    listOfSome(text('name or pattern', 249)),
    ['*'],
    'Which topics are sent: names, or patterns with `*`. Where two nodes mirror to each other each must name its own, or they send each other their copies for ever.',
  ),
  rename: byDefault(
    text('template', 249),
    '{node}.{topic}',
    "The topic's name upstream. `{topic}` alone lets several nodes share a topic.",
  ),
  partition: optional(
    integer(0, 4095),
    'the number it has here',
    'Sends every partition to this one upstream: a partition of its own for each node that shares a topic.',
    3,
  ),
  recreated: byDefault(
    oneOf(['stop', 'continue', 'restart']),
    'stop',
    'What to do when the topic upstream was made anew: wait for somebody to decide, `continue` with what was not sent ' +
      'yet, or `restart` with all that is kept here.',
  ),
  tls: guarding(optional(tls, 'plain TCP', 'TLS to the brokers. `{}` is enough where the system trusts them.')),
  sasl: guarding(optional(sasl, 'no login', 'The login that the brokers ask for.')),
  create: section('Topics that are missing upstream.', {
    allowed: byDefault(flag, true, 'Creates them; otherwise their partitions wait until somebody does.'),
    replicationFactor: byDefault(
      scalar('-1, or 1 to 32', (input) => parseInteger(input, { min: -1, max: 32 })),
      -1,
      "Copies that the upstream keeps; -1 is the upstream's own default.",
    ),
    configs: byDefault(map(configText), {}, "Settings of the created topics, by Kafka's names.", {
      'retention.ms': '2592000000',
    }),
  }),
});

export const configSchema = group({
  node,
  data,
  commit,
  card,
  clock,
  mqtt,
  kafka,
  http,
  serial: byDefault(
    list(serialPort),
    [],
    'Serial ports. A port may be missing at the start, and may be unplugged and plugged in again at any time.',
  ),
  routes: byDefault(
    list(route),
    [],
    'Where MQTT messages go: the first rule that fits decides. Without rules everything goes to the topic `mqtt`, ' +
      'with the MQTT topic as key. With rules, what none of them takes is delivered to MQTT subscribers only.',
  ),
  topics: byDefault(
    map(topic),
    {},
    'Settings of topics, by name. They are applied at each start; what is left out stays as it is, in a new topic the default.',
  ),
  mirror: byDefault(list(mirror), [], 'Kafka clusters that everything is sent to, exactly once.'),
  log: section('Diagnostics, one line an event, on standard output.', {
    level: byDefault(oneOf(['debug', 'info', 'warn', 'error']), 'info', 'The least important lines that are printed.'),
  }),
});

/** What the schema makes of a file: plain numbers, defaults filled in. */
export type ConfigValue = v.InferOutput<typeof configSchema>;
