// Prometheus' text format, version 0.0.4, and the process's own numbers. Everything is counted elsewhere in plain
// fields; this runs only when somebody scrapes.

import type { Clock } from '../clock.ts';
import { counter, gauge, type Metric, type Sample } from '../metrics.ts';

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Metrics of the same name, from several rooms, become one. All names get `headwater_` but those of the process. */
export function renderMetrics(metrics: readonly Metric[]): string {
  const families = new Map<string, Metric>();
  for (const metric of metrics) {
    const name = metric.name.startsWith('process_') ? metric.name : `headwater_${metric.name}`;
    const family = families.get(name);
    if (family === undefined) families.set(name, { ...metric, name, samples: [...metric.samples] });
    else family.samples.push(...metric.samples);
  }
  let text = '';
  for (const { name, help, type, samples } of families.values()) {
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const sample of samples) text += `${name}${renderLabels(sample)} ${renderNumber(sample.value)}\n`;
  }
  return text;
}

function renderLabels({ labels }: Sample): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function renderNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

export interface ProcessNeeds {
  clock: Clock;
  version: string;
}

/** The numbers of the process. The lag is measured here and now: a monitor that is always on wakes the CPU. */
export async function processMetrics({ clock, version }: ProcessNeeds): Promise<Metric[]> {
  const beforeMs = clock.monotonicMs();
  await new Promise((resolve) => setImmediate(resolve));
  const lagSeconds = (clock.monotonicMs() - beforeMs) / 1000;
  const { user, system } = process.cpuUsage();
  const uptimeSeconds = process.uptime();
  const busySeconds = performance.eventLoopUtilization().active / 1000;
  return [
    gauge('process_resident_memory_bytes', 'Memory that the process has in RAM.', process.memoryUsage.rss()),
    counter('process_cpu_seconds_total', 'CPU time of the process.', (user + system) / 1e6),
    gauge('process_start_time_seconds', 'When the process started.', clock.wallMs() / 1000 - uptimeSeconds),
    gauge('uptime_seconds', 'Time since the process started.', uptimeSeconds),
    gauge('event_loop_lag_seconds', 'How long a due callback waited at this scrape.', lagSeconds),
    counter('event_loop_busy_seconds_total', 'Time in which the event loop was at work.', busySeconds),
    gauge('build_info', 'Version of headwater.', [{ labels: { version }, value: 1 }]),
  ];
}
