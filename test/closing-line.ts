// Ends a run with one line that any log reader understands: `N passed, N failed`.
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    let failed = errors.length;
    for (const testModule of modules) {
      const tests = [...testModule.children.allTests()];
      for (const test of tests) {
        const state = test.result().state;
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failed += 1;
      }
      // A file that could not be loaded ran no test: it counts as one failure, so that it can't hide.
      if (testModule.errors().length > 0) failed += 1;
    }
    console.log(`${passed} passed, ${failed} failed`);
  }
}
