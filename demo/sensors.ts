// Simulated sensors. Over MQTT: readings with QoS 2 in a persistent session, so that whatever happens to the broker each
// reading is handed over exactly once. Over a serial line: a line a reading; a cable has no acknowledgement.

import { connect, type MqttClient } from 'mqtt';
import type { Pty } from '../test/parts/pty.ts';

export interface Sensor {
  readonly name: string;
  /** Readings that were handed to the wire, and those of them that were acknowledged. */
  readonly counts: { published: number; acknowledged: number };
  /** Stops publishing, waits for what is under way, hangs up. */
  stop(): Promise<void>;
}

const WINDOW = 100;

/** A sensor that publishes `perSecond` readings to `plant/<name>`: JSON with its name and a number from 0 up. */
export function openMqttSensor(name: string, port: number, perSecond: number): Sensor {
  const counts = { published: 0, acknowledged: 0 };
  const client: MqttClient = connect({
    host: '127.0.0.1',
    port,
    clientId: name,
    clean: false,
    reconnectPeriod: 200,
    connectTimeout: 2000,
  });
  // A broker that is away is what this is about; the client tries again by itself.
  client.on('error', () => undefined);

  // MQTT.js gives back what it was handed while it sent again what was under way, if the connection ends meanwhile. That
  // never left, so it goes before all that comes later.
  let givenBack: number[] = [];

  function publish(n: number): void {
    const reading = JSON.stringify({ sensor: name, n, celsius: celsiusAt(n), ok: true });
    client.publish(`plant/${name}`, reading, { qos: 2 }, (error) => {
      if (error === null || error === undefined) counts.acknowledged += 1;
      else givenBack.push(n);
    });
  }

  function publishAgain(): void {
    const again = givenBack;
    givenBack = [];
    for (const n of again) publish(n);
  }

  const stopTicking = pace(perSecond, () => {
    publishAgain();
    if (counts.published - counts.acknowledged >= WINDOW) return;
    counts.published += 1;
    publish(counts.published - 1);
  });

  return {
    name,
    counts,
    async stop() {
      stopTicking();
      while (counts.acknowledged < counts.published) {
        publishAgain();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await client.endAsync();
    },
  };
}

/** A device that writes `perSecond` lines `name,number,celsius` into its end of a serial line. */
export function openSerialSensor(name: string, pty: Pty, perSecond: number): Sensor {
  const counts = { published: 0, acknowledged: 0 };
  let writing: Promise<void> = Promise.resolve();
  const stopTicking = pace(perSecond, () => {
    const line = `${name},${counts.published},${celsiusAt(counts.published)}\n`;
    counts.published += 1;
    writing = writing.then(() => pty.write(line));
  });
  return {
    name,
    counts,
    async stop() {
      stopTicking();
      await writing;
    },
  };
}

function celsiusAt(n: number): string {
  return (20 + 5 * Math.sin(n / 50)).toFixed(2);
}

/** Calls `tick` so many times a second, in small bursts. */
function pace(perSecond: number, tick: () => void): () => void {
  const startMs = performance.now();
  let done = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - startMs) / 1000) * perSecond;
    for (; done < due; done += 1) tick();
  }, 20);
  return () => clearInterval(timer);
}
