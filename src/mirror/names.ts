// Which topics a mirror takes, and what they are called upstream.

/** Topics of headwater's own, and of Kafka's. */
const INTERNAL = /^__/;
/** What the card has lost is told to every upstream. */
const ALWAYS = new Set(['headwater.gaps']);

/** True when one of the patterns takes `topic`: `*` stands for any characters, `?` for one. Never internal topics. */
export function isMirrored(patterns: readonly string[], topic: string): boolean {
  if (ALWAYS.has(topic)) return true;
  return !INTERNAL.test(topic) && patterns.some((pattern) => globOf(pattern).test(topic));
}

function globOf(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

/** The upstream's name: `{node}` and `{topic}` are filled in. */
export function upstreamName(rename: string, node: string, topic: string): string {
  return rename.replaceAll(/\{(node|topic)\}/g, (_, name) => (name === 'node' ? node : topic));
}
