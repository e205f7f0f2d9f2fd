// Ends a run with the failures in few lines, and then one line that any log reader understands: `N passed, N failed`. A log
// is often shown by its end alone: what failed must be there. `.ci/run` repeats the lines from LEAD on at its own end.
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';

/** Begins the lines that name a failure; those that tell more about it are indented. */
const LEAD = 'failed: ';
const MOST_LINES = 45;
const MOST_COLUMNS = 200;
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

interface Trouble {
  message: string;
  diff?: string;
  stack?: string;
  stacks?: readonly { file: string; line: number; column: number }[];
}

interface Failure {
  name: string;
  errors: readonly Trouble[];
}

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly Trouble[]): void {
    let passed = 0;
    // Errors that no test caught, such as a promise that nobody awaits.
    const failures: Failure[] = errors.map((error) => ({ name: 'outside of any test', errors: [error] }));
    for (const testModule of modules) {
      for (const test of testModule.children.allTests()) if (test.result().state === 'passed') passed += 1;
      failures.push(...failuresOf(testModule));
    }
    for (const line of linesOf(failures)) console.log(line);
    console.log(`${passed} passed, ${failures.length} failed`);
  }
}

function failuresOf(testModule: TestModule): Failure[] {
  const file = testModule.relativeModuleId;
  const failures: Failure[] = [];
  // A file that could not be loaded, or a group whose hook failed, ran no test: it counts as one failure, so that it can't hide.
  const groups: (TestModule | TestSuite)[] = [testModule, ...testModule.children.allSuites()];
  for (const group of groups) {
    const name = group.type === 'module' ? file : `${file} > ${group.fullName}`;
    if (group.errors().length > 0) failures.push({ name, errors: group.errors() });
  }
  for (const test of testModule.children.allTests('failed')) {
    failures.push({ name: `${file} > ${test.fullName}`, errors: errorsOf(test) });
  }
  return failures;
}

function errorsOf(test: TestCase): readonly Trouble[] {
  return test.result().errors ?? [];
}

function linesOf(failures: readonly Failure[]): string[] {
  // Many failures share the room: each is named, few are explained.
  const share = Math.floor(MOST_LINES / Math.max(1, failures.length));
  return failures.flatMap(({ name, errors }) => [
    `${LEAD}${name}`.slice(0, MOST_COLUMNS),
    ...errors
      .flatMap(explained)
      .slice(0, share - 1)
      .map((line) => `    ${line}`.slice(0, MOST_COLUMNS)),
  ]);
}

function explained({ message, diff, stack, stacks }: Trouble): string[] {
  const [place] = stacks ?? [];
  const where = place
    ? `at ${place.file}:${place.line}:${place.column}`
    : (stack?.split('\n').slice(1, 3).join('\n') ?? '');
  const text = [message, where, diff ?? ''].join('\n').replaceAll(ESCAPES, '');
  return text.split('\n').filter((line) => line.trim() !== '');
}
