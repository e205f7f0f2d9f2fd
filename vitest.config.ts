// Two suites. `*.test.ts` needs Node and npm only and takes about a minute; `*.long.ts` needs real parts (Kafka, socat,
// kcat, mosquitto) or minutes, and is what `.ci/run` adds after it has installed those parts.
import { defineConfig } from 'vitest/config';

const isLong = process.env['HEADWATER_SUITE'] === 'long';

export default defineConfig({
  test: {
    include: [isLong ? 'test/**/*.long.ts' : 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    fileParallelism: !isLong,
    testTimeout: isLong ? 300_000 : 20_000,
    hookTimeout: isLong ? 120_000 : 20_000,
    reporters: ['default', './test/closing-line.ts'],
  },
});
