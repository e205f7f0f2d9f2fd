// The demo's live table: what is in, on the card, and upstream. On a terminal it is drawn in place; elsewhere a line
// every two seconds.

import type { Node } from './node.ts';
import type { Sensor } from './sensors.ts';

export interface Screen {
  say(event: string): void;
  close(): Promise<void>;
}

export interface ScreenNeeds {
  edge: Node;
  sensors: readonly Sensor[];
  boiler: Sensor;
  target: string;
}

const DRAW_MS = 250;
const LINE_MS = 2000;

export function openScreen({ edge, sensors, boiler }: ScreenNeeds): Screen {
  const startMs = performance.now();
  const isTerminal = process.stdout.isTTY;
  let drawnLines = 0;
  let drawing: Promise<void> = Promise.resolve();
  const timer = setInterval(
    () => {
      drawing = drawing.then(draw);
    },
    isTerminal ? DRAW_MS : LINE_MS,
  );

  function seconds(): string {
    return `${((performance.now() - startMs) / 1000).toFixed(1).padStart(5)} s`;
  }

  async function draw(): Promise<void> {
    const status = await edge.status();
    const published = total(sensors, 'published');
    const acknowledged = total(sensors, 'acknowledged');
    const onCard = status?.log.appended.records;
    const mirror = status?.mirrors[0];
    const rows: [string, string][] = [
      ['in', `${published} readings over MQTT, ${boiler.counts.published} lines over serial`],
      ['acknowledged', `${acknowledged}, ${published - acknowledged} under way`],
      ['on the card', onCard === undefined ? 'the edge is down' : `${onCard} records since the edge was started`],
      [
        'upstream',
        mirror === undefined ? '-' : `${mirror.records} since then, ${mirror.state}, ${mirror.backlog.records} waiting`,
      ],
    ];
    if (!isTerminal) {
      console.log(`${seconds()}  ${rows.map(([name, text]) => `${name}: ${text}`).join(' | ')}`);
      return;
    }
    erase();
    console.log(seconds());
    for (const [name, text] of rows) console.log(`  ${name.padEnd(14)}${text}`);
    drawnLines = rows.length + 1;
  }

  function erase(): void {
    if (drawnLines > 0) process.stdout.write(`\u001B[${drawnLines}A\u001B[J`);
    drawnLines = 0;
  }

  return {
    say(event) {
      erase();
      console.log(`${seconds()}  ${event}`);
    },
    async close() {
      clearInterval(timer);
      await drawing;
    },
  };
}

function total(sensors: readonly Sensor[], what: 'published' | 'acknowledged'): number {
  return sensors.reduce((sum, { counts }) => sum + counts[what], 0);
}
