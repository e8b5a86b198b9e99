/** The compose lab, with a real engine: `npm run test:compose`. Apart from the others, as it takes minutes. */
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/compose/**/*.compose.ts'],
    globalSetup: ['test/helpers/temporary-root.ts', 'test/compose/image.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Each file has a lab of its own, and there are few cores.
    fileParallelism: false,
    // The tests of a file are steps: after one that failed, the others would tell of the same again.
    bail: 1,
  },
});

export default config;
