// Real MQTT subscribers with persistent sessions, which connect again by themselves when the broker is away: mosquitto_sub,
// and the npm client. With QoS 2 only the latter: libmosquitto keeps a PUBLISH that is repeated after a reconnect beside the
// first one, and shows it in the place of a later message with the same id (mosquitto's issues 1450 and 1751).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connectAsync } from 'mqtt';

export interface MqttSubscriber {
  /** What came, in order. */
  readonly messages: { topic: string; payload: string }[];
  stop(): Promise<void>;
}

// A test that ends in the middle of things leaves no subscriber behind.
const running = new Set<{ kill(signal: 'SIGKILL'): boolean }>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The npm client, with QoS 2 unless another is given; it has subscribed on return. The broker must be there. */
export async function subscribeOnce(
  port: number,
  clientId: string,
  filter: string,
  qos: 0 | 1 | 2 = 2,
): Promise<MqttSubscriber> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, clean: false, reconnectPeriod: 200 });
  const messages: MqttSubscriber['messages'] = [];
  client.on('message', (topic, payload) => void messages.push({ topic, payload: String(payload) }));
  client.on('error', () => undefined);
  await client.subscribeAsync(filter, { qos });
  return { messages, stop: () => client.endAsync(true) };
}

/** mosquitto_sub with QoS 1; whoever wants to know when it has subscribed retains a message. The broker must be there. */
export function subscribeAtLeastOnce(port: number, clientId: string, filter: string): MqttSubscriber {
  const session = ['-i', clientId, '-c', '-q', '1'];
  // One line a message: the payload must have no line feed.
  const args = ['-h', '127.0.0.1', '-p', String(port), ...session, '-t', filter, '-F', '%t %p'];
  const child = spawn('mosquitto_sub', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const messages: MqttSubscriber['messages'] = [];
  let said = '';
  let rest = '';
  let failure: Error | undefined;
  running.add(child);
  child.once('error', (error) => (failure = new Error(`install mosquitto-clients: ${error.message}`)));
  child.once('exit', () => running.delete(child));
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4096)));
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const end = line.indexOf(' ');
      messages.push({ topic: line.slice(0, end), payload: line.slice(end + 1) });
    }
  });
  return {
    messages,
    async stop() {
      if (failure !== undefined) throw failure;
      const { exitCode, signalCode } = child;
      if (exitCode !== null || signalCode !== null) throw new Error(`mosquitto_sub ended with ${exitCode}: ${said}`);
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
