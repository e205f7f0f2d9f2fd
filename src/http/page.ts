// The page at `/`: for a phone in front of the cabinet. It answers three questions: is data coming in, is it safe, is it
// leaving. Rendered here; a few lines of script fetch the cards again every three seconds. Nothing comes from elsewhere.

import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { formatAge, formatLife } from '../config-units.ts';
import type { Answer } from './exchange.ts';
import type { DoorStatus, MirrorSummary, Status } from './status.ts';

export interface Page {
  /** The whole page. */
  page: () => Answer;
  /** Only the cards, for the script. */
  cards: () => Answer;
}

export interface PageNeeds {
  status: () => Status;
  clock: Clock;
}

const HTML_TYPE = 'text/html; charset=utf-8';
// Rates are taken over at least this time, so that they don't jump when two people look at once.
const RATE_WINDOW_MS = 2500;

const SCRIPT = `setInterval(async () => {
  const cards = document.getElementById('cards');
  try {
    cards.innerHTML = await (await fetch('/cards')).text();
    cards.className = '';
  } catch {
    cards.className = 'stale';
  }
}, 3000);`;

const STYLE = `
:root { color-scheme: light dark; font: 17px/1.4 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 40rem; padding: 1rem; }
h1 { font-size: 1.1rem; font-weight: 500; }
section { border: 1px solid #8886; border-left: 6px solid #393; border-radius: 6px; margin: 1rem 0; padding: .6rem 1rem; }
section.bad { border-left-color: #c33; }
section.idle { border-left-color: #999; }
h2 { font-size: 1rem; margin: 0; }
b { font-size: 1.5rem; font-weight: 600; }
table { border-spacing: 0; width: 100%; }
td { padding: .1rem .5rem .1rem 0; }
td + td { text-align: right; font-variant-numeric: tabular-nums; }
.stale { opacity: .4; }
p { margin: .3rem 0; }`;

const POLICY = [
  "default-src 'none'",
  "connect-src 'self'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "frame-ancestors 'none'",
].join('; ');

interface Snapshot {
  atMs: number;
  records: number;
  sent: number;
}

interface Rates {
  records: number;
  sent: number;
}

export function createPage({ status, clock }: PageNeeds): Page {
  let older: Snapshot | undefined;
  let newer: Snapshot | undefined;

  function measure(now: Status): Rates {
    const taken: Snapshot = { atMs: clock.monotonicMs(), records: sum(now.doors), sent: sum(now.mirrors) };
    if (newer === undefined || taken.atMs - newer.atMs >= RATE_WINDOW_MS) [older, newer] = [newer, taken];
    const since = older ?? { atMs: taken.atMs - now.uptimeSeconds * 1000, records: 0, sent: 0 };
    const seconds = Math.max(0.001, (taken.atMs - since.atMs) / 1000);
    return { records: (taken.records - since.records) / seconds, sent: (taken.sent - since.sent) / seconds };
  }

  function body(): string {
    const now = status();
    const rates = measure(now);
    return [comingIn(now, rates), isSafe(now), leaving(now, rates)].join('\n');
  }

  return {
    cards: () => ({ status: 200, type: HTML_TYPE, body: body() }),
    page: () => {
      const { node, version } = status();
      const headers = { 'content-security-policy': POLICY };
      return { status: 200, type: HTML_TYPE, headers, body: whole(escape(node), escape(version), body()) };
    },
  };
}

function whole(node: string, version: string, cards: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${node} - headwater</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${node} <small>headwater ${version}</small></h1>
<main id="cards">
${cards}
</main>
<p><small><a href="/status">status</a> <a href="/metrics">metrics</a> <a href="/topics">topics</a></small></p>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function comingIn({ doors }: Status, rates: Rates): string {
  const broken = doors.filter(({ state }) => state !== 'open');
  const kind = broken.length > 0 ? 'bad' : rates.records > 0 ? 'good' : 'idle';
  return card('Is data coming in?', kind, `${amount(rates.records)} records/s`, doors.map(doorRow));
}

function doorRow({ name, state, records, bytes, clients }: DoorStatus): string {
  const connected = clients === undefined ? '' : `, ${clients} connected`;
  return row(name, `${state}${connected}, ${counted(records)}, ${size(bytes)}`);
}

function isSafe({ log, wear, clock, health }: Status): string {
  const percent = (100 * log.diskBytes) / log.budgetBytes;
  const share = percent < 1 ? 'less than 1' : Math.round(percent);
  const rows = [
    row('waits for the card', size(log.waitingBytes)),
    row('last commit', `${Math.round(log.commits.lastMs)} ms`),
    row('on the card', `${size(log.diskBytes)} of ${size(log.budgetBytes)} (${share} %)`),
    row('room for records', roomOf(log)),
    ...(log.dropped.records > 0 ? [row('dropped for want of room', counted(log.dropped.records))] : []),
    row('the card lasts', lifeOf(wear)),
    row('the clock', clockWords(clock)),
    ...health.reasons.map((reason) => row('!', reason)),
  ];
  const isGood = health.ok && log.state === 'ok';
  return card('Is it safe?', isGood ? 'good' : 'bad', isGood ? 'yes, all acknowledged records are synced' : 'no', rows);
}

function clockWords({ state, why, unsureRecords }: Status['clock']): string {
  if (state !== 'unsure') return state === 'kept' ? `not believed: ${why}` : state;
  return `not set yet: ${counted(unsureRecords)} wait for the right time`;
}

function roomOf({ room, state }: Status['log']): string {
  const left = state === 'ok' ? size(room.leftBytes) : `none, ${state}`;
  const full = room.fullSeconds === undefined ? '' : `, full in ${formatAge(room.fullSeconds * 1000)}`;
  const drained = room.drainSeconds === undefined ? '' : `, sent in ${formatAge(room.drainSeconds * 1000)}`;
  return `${left}${full}${drained}`;
}

function lifeOf({ yearsLeft, recent }: Status['wear']): string {
  if (yearsLeft === undefined) return 'too early to tell';
  return `${formatLife(yearsLeft)}, ${size(recent.deviceBytesPerDay ?? recent.processBytesPerDay)} a day`;
}

function leaving({ mirrors }: Status, rates: Rates): string {
  if (mirrors.length === 0) return card('Is it leaving?', 'idle', 'no mirror is configured', []);
  const isBad = mirrors.some(({ problems }) => problems.length > 0);
  const rows = mirrors.flatMap(mirrorRows);
  return card('Is it leaving?', isBad ? 'bad' : 'good', `${amount(rates.sent)} records/s`, rows);
}

function mirrorRows({ name, state, backlog, problems }: MirrorSummary): string[] {
  const waiting = `${counted(backlog.records)}, ${size(backlog.bytes)}, the oldest for ${formatAge(backlog.ageSeconds * 1000)}`;
  const text = backlog.records === 0 ? 'nothing waits' : `waiting: ${waiting}`;
  return [row(name, `${state}, ${text}`), ...problems.map((problem) => row('!', problem))];
}

function card(title: string, kind: 'good' | 'bad' | 'idle', headline: string, rows: string[]): string {
  return `<section class="${kind}"><h2>${title}</h2><b>${escape(headline)}</b><table>${rows.join('')}</table></section>`;
}

function row(name: string, value: string): string {
  // On a phone the column is narrow: a number stays on one line with its unit.
  const text = escape(value).replaceAll(/(?<=\d) (?=[A-Za-z%])/g, '&nbsp;');
  return `<tr><td>${escape(name)}</td><td>${text}</td></tr>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function sum(counted: readonly { records: number }[]): number {
  return counted.reduce((total, { records }) => total + records, 0);
}

function amount(value: number): string {
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en') : value.toFixed(1);
}

function counted(records: number): string {
  return `${amount(records)} ${records === 1 ? 'record' : 'records'}`;
}

/** In the units of the configuration, so that the budget is found there as it stands here. */
function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
