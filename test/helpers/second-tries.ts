/** Names the tests that passed only when they were tried again, and says what was wrong at first. */
import type { Reporter, TestCase } from 'vitest/node';

export default class SecondTries implements Reporter {
  readonly #said: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.result().state !== 'passed' || !test.diagnostic()?.retryCount) return;
    const [first] = test.result().errors ?? [];
    this.#said.push(
      `${test.module.relativeModuleId} > ${test.fullName}\n  ${first?.stack ?? first?.message}`,
    );
  }

  onTestRunEnd(): void {
    if (this.#said.length > 0) console.warn(`Passed at the second try only:\n${this.#said.join('\n')}`);
  }
}
