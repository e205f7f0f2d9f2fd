// First: the runtime is the one that ships.

import { expect, test } from 'vitest';

test('the tests run on Node 24, whatever the machine has', () => {
  expect(process.version).toMatch(/^v24\./);
});
