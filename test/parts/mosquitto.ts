// A real MQTT subscriber: mosquitto_sub with a persistent session, which connects again by itself when the broker is away.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

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

/** Subscribes; it is connected when the broker's status says so. The broker must be there. */
export function subscribe(port: number, clientId: string, filter: string, qos: 0 | 1 | 2): MqttSubscriber {
  const session = ['-i', clientId, '-c', '-q', String(qos)];
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
