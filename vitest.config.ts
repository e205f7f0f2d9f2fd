// Two suites. `*.test.ts` needs Node and npm only and takes about a minute; `*.long.ts` needs real parts (Kafka, socat,
// kcat, mosquitto) or minutes, and is what `.ci/run` adds after it has installed those parts.
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const isLong = process.env['HEADWATER_SUITE'] === 'long';

// Ends what hangs, and judges no speed: test/parts/until.ts gives up before it and says on what, and a disk that is busy with
// what an installation has just written may take seconds for one sync.
const SHORT_TIMEOUT_MS = 90_000;

/** The test of Node's own version comes first: under another Node all others fail with less to say. */
class NodeFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => (moduleId.endsWith('/a-node.test.ts') ? 0 : 1);
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    include: [isLong ? 'test/**/*.long.ts' : 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    fileParallelism: !isLong,
    sequence: { sequencer: NodeFirst },
    testTimeout: isLong ? 300_000 : SHORT_TIMEOUT_MS,
    hookTimeout: isLong ? 120_000 : SHORT_TIMEOUT_MS,
    reporters: ['default', './test/closing-line.ts'],
  },
});
