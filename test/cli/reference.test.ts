// docs/cli.md is what the commands say about themselves; `npx vitest run test/cli/reference.test.ts -u` writes it anew.
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { run } from './run-cli.ts';

const COMMANDS = [
  [],
  ['serve'],
  ['config', 'check'],
  ['config', 'show'],
  ['status'],
  ['doctor'],
  ['gaps'],
  ['topics', 'list'],
  ['topics', 'describe'],
  ['topics', 'create'],
  ['topics', 'delete'],
  ['produce'],
  ['consume'],
  ['groups', 'list'],
  ['groups', 'describe'],
  ['groups', 'reset'],
  ['groups', 'delete'],
  ['transactions', 'list'],
  ['transactions', 'describe'],
  ['transactions', 'abort'],
  ['log', 'verify'],
  ['log', 'dump'],
  ['log', 'export'],
  ['log', 'import'],
  ['serial', 'list'],
  ['serial', 'monitor'],
  ['serial', 'send'],
  ['serial', 'decode'],
];

const HEAD = `# Command line

Data goes to standard output, everything else to standard error, and progress only to a terminal. All commands but \`serve\` and \`config\` talk
to a running node over HTTP, \`serial\` where one answers; those with \`--data\` do without one. In the repository \`headwater\` is called \`npx node src/main.ts\`. What
\`consume -f jsonl\` writes, \`produce -f jsonl\` takes.
`;

test('the reference is what the commands say', async () => {
  let text = HEAD;
  for (const command of COMMANDS) {
    const { out } = await run([...command, '--help']);
    text += `\n## ${['headwater', ...command].join(' ')}\n\n\`\`\`\n${out.trimEnd()}\n\`\`\`\n`;
  }
  await expect(text).toMatchFileSnapshot(resolve('docs/cli.md'));
});
