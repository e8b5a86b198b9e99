import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** What runs on real devices, or as processes of its own, for seconds: there a machine that others share interferes. */
const ON_THE_MACHINE = ['system', 'cli', 'daemon', 'demo'].map((folder) => `test/${folder}/**/*.test.ts`);
const common = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' } as const;

const config: ViteUserConfig = defineConfig({
  test: {
    globalSetup: ['test/helpers/temporary-root.ts'],
    reporters: ['default', './test/helpers/second-tries.ts'],
    projects: [
      { test: { ...common, name: 'pure', include: ['test/**/*.test.ts'], exclude: ON_THE_MACHINE } },
      // In CI such a test has a second try, and those that needed it are named at the end; elsewhere it fails at once.
      { test: { ...common, name: 'machine', include: ON_THE_MACHINE, retry: process.env.CI ? 1 : 0 } },
    ],
  },
});

export default config;
