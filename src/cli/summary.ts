// The lines that `headwater serve` prints when it is ready: what listens where, where the data lies, and a line to paste
// for publishing and one for reading. Pure text.

import { isLoopback, formatBytes, parseAddress, isRefusal } from '../config-units.ts';
import type { Config } from '../config.ts';

export interface Listening {
  mqtt?: string;
  kafka?: string;
  http?: string;
}

export interface SummaryOptions {
  version: string;
  /** How the command line is called here: `headwater`, or `npx node src/main.ts` in the repository. */
  program: string;
  /** True in the repository, where npm has brought an MQTT client. */
  isRepository: boolean;
}

export function printSummary(config: Config, listening: Listening, options: SummaryOptions): string {
  const { mqttTopic, topic } = exampleOf(config);
  const lines = [
    `headwater ${options.version}, node ${config.node.name}`,
    ...doorLines(listening),
    ...config.serial.map(({ path, topic }) => line('serial', `${path} -> ${topic}`)),
    ...config.mirror.map(({ name, bootstrap }) => line('mirror', `${name} -> ${bootstrap.join(', ')}`)),
    line('data', `${config.data.dir}, at most ${formatBytes(config.data.budgetBytes)}`),
    ...publishLines(listening, mqttTopic, config.mqtt.users[0]?.name, options.isRepository),
    ...readLines(listening, topic, options.program),
  ];
  return `${lines.join('\n')}\n`;
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(8)} ${text}`;
}

function doorLines({ mqtt, kafka, http }: Listening): string[] {
  const all = [mqtt, kafka, http].filter((address) => address !== undefined);
  const isClosed = all.every((address) => isLoopback(hostOf(address)));
  const note =
    isClosed && all.length > 0
      ? [line('', 'reached from this machine only: see mqtt.listen, kafka.listen, http.listen')]
      : [];
  return [
    line('MQTT', mqtt ?? 'off (mqtt.listen)'),
    line('Kafka', kafka ?? 'off (kafka.listen)'),
    line('HTTP', http === undefined ? 'off (http.listen)' : `http://${http}/`),
    ...note,
  ];
}

function hostOf(address: string): string {
  const parsed = parseAddress(address);
  return isRefusal(parsed) ? '' : parsed.host;
}

function publishLines(
  { mqtt }: Listening,
  mqttTopic: string,
  user: string | undefined,
  isRepository: boolean,
): string[] {
  const parsed = mqtt === undefined ? undefined : parseAddress(mqtt);
  if (parsed === undefined || isRefusal(parsed)) return [];
  const as = user === undefined ? '' : ` -u ${JSON.stringify(user)} -P PASSWORD`;
  const to = `-h ${connectable(parsed.host)} -p ${parsed.port}${as} -t ${mqttTopic} -q 1 -m '{"t":21}'`;
  return [line('publish', isRepository ? `npx mqtt pub ${to}` : `mosquitto_pub ${to}`)];
}

function readLines({ http, kafka }: Listening, topic: string | undefined, program: string): string[] {
  if (http !== undefined) {
    return [
      line('read', topic === undefined ? `${program} topics list` : `${program} consume ${topic} -f jsonl --follow`),
    ];
  }
  return kafka === undefined ? [] : [line('read', `kcat -C -b ${kafka} ${topic === undefined ? '-L' : `-t ${topic}`}`)];
}

function connectable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** An MQTT topic that the first rule takes, and the topic it goes to, where that is a fixed one. */
function exampleOf({ routes }: Config): { mqttTopic: string; topic: string | undefined } {
  const rule = routes[0];
  if (rule === undefined) return { mqttTopic: 'plant/a/1', topic: 'mqtt' };
  const levels = rule.mqtt
    .split('/')
    .map((level) => (level.startsWith('+') ? 'a' : level.startsWith('#') ? '1' : level));
  return { mqttTopic: levels.join('/'), topic: rule.topic.includes('{') ? undefined : rule.topic };
}
