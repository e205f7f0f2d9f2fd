// MQTT in: what a message costs headwater, which acknowledges after the sync, beside brokers that do not. Rounds are
// interleaved, so that what else the machine does falls on all of them; the median counts.

import { cpuSecondsOf, median, writtenBytesOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, startMosquitto, startNats, type Server } from '../servers.ts';
import type { LoadOptions, LoadResult, Stand } from '../stand.ts';

const PACED_RATE = 8_000;

interface Contender {
  name: string;
  server: Server;
}

interface Round {
  load: LoadResult;
  cpuUs: number;
  writtenPerByte: number;
}

export async function measureMqtt(stand: Stand): Promise<Section> {
  const contenders = await startAll(stand);
  const rounds = stand.isQuick ? 1 : 3;
  const full = { payload: 'json', seconds: stand.isQuick ? 4 : 8 } as const;
  const paced = { payload: 'json', rate: PACED_RATE, seconds: stand.isQuick ? 4 : 10 } as const;
  for (const { name, server } of contenders) {
    stand.progress(`mqtt: warming up ${name}`);
    await stand.load({ ...full, port: server.port, seconds: stand.isQuick ? 2 : 4 });
  }
  const fast = await race(stand, 'full speed', contenders, rounds, full);
  const slow = await race(stand, `${PACED_RATE}/s`, contenders, rounds, paced);
  for (const { server } of contenders) await server.stop();
  const { name } = contenders.at(-1)!;
  return {
    name: 'mqtt',
    lines: [
      `10 connections, window 100, QoS 1, JSON readings of 120 bytes; median of ${rounds}, ${full.seconds} s each at full speed.`,
      '',
      ...tableOf(contenders, fast),
      '',
      `The same, paced at ${PACED_RATE} messages a second, ${paced.seconds} s each.`,
      '',
      ...tableOf(contenders, slow),
      ...(name.startsWith('nats') ? [] : ['', 'nats-server is not installed here.']),
    ],
  };
}

async function startAll(stand: Stand): Promise<Contender[]> {
  const retention = '16MiB';
  const steady = await startHeadwater(stand, { dir: stand.makeFolder('steady'), burst: '0ms', retention });
  const credit = await startHeadwater(stand, { dir: stand.makeFolder('credit'), burst: '1h', retention });
  const contenders = [
    { name: 'headwater, burst used up', server: steady },
    { name: 'headwater, with credit', server: credit },
    { name: 'mosquitto (stores nothing)', server: await startMosquitto(stand) },
  ];
  const nats = await startNats(stand);
  if (nats !== undefined) contenders.push({ name: 'nats-server (keeps nothing for nobody)', server: nats });
  return contenders;
}

async function race(
  stand: Stand,
  what: string,
  contenders: Contender[],
  rounds: number,
  options: Omit<LoadOptions, 'port'>,
): Promise<Round[][]> {
  const results: Round[][] = contenders.map(() => []);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, { name, server }] of contenders.entries()) {
      stand.progress(`mqtt: ${what}, round ${round} of ${rounds}: ${name}`);
      results[index]!.push(await measure(stand, server, options));
    }
  }
  return results;
}

async function measure(stand: Stand, server: Server, options: Omit<LoadOptions, 'port'>): Promise<Round> {
  const [cpu, written] = [cpuSecondsOf(server.pid), writtenBytesOf(server.pid)];
  const load = await stand.load({ ...options, port: server.port });
  return {
    load,
    cpuUs: ((cpuSecondsOf(server.pid) - cpu) / load.acked) * 1e6,
    writtenPerByte: (writtenBytesOf(server.pid) - written) / load.payloadBytes,
  };
}

function tableOf(contenders: Contender[], results: Round[][]): string[] {
  const mosquitto = contenders.findIndex(({ name }) => name.startsWith('mosquitto'));
  const cpuOf = (index: number): number => median(results[index]!.map(({ cpuUs }) => cpuUs));
  const head = ['', 'CPU us/message', 'of mosquitto', 'messages/s', 'p50 ms', 'p99 ms', 'written per payload byte'];
  const rows = contenders.map(({ name }, index) => {
    const of = (pick: (round: Round) => number): number => median(results[index]!.map(pick));
    return [
      name,
      cpuOf(index).toFixed(1),
      `${Math.round((cpuOf(index) / cpuOf(mosquitto)) * 100)} %`,
      String(Math.round(of(({ load }) => load.perSecond))),
      of(({ load }) => load.p50Ms).toFixed(1),
      of(({ load }) => load.p99Ms).toFixed(1),
      of(({ writtenPerByte }) => writtenPerByte).toFixed(2),
    ];
  });
  return table(head, rows);
}
