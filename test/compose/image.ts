/** Builds the image before the first test, and removes it after the last. Skipped, loudly, where there is no engine. */
import { noEngine, run } from './engine.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The image under test; empty where no containers can be run. */
    image: string;
  }
}

type Project = { provide(key: 'image', value: string): void };

export default async function setup(project: Project): Promise<(() => Promise<void>) | undefined> {
  const why = noEngine();
  if (why !== undefined) {
    if (process.env.REQUIRE_ENGINE) throw new Error(`the compose lab cannot be tested: ${why}`);
    process.stderr.write(`SKIPPED: the compose lab (${why})\n`);
    project.provide('image', '');
    return undefined;
  }
  const image = `taplab-test:${process.pid}`;
  // With the host's network, as a bridge may have no way out where tests run.
  await run(['docker', 'build', '--network', 'host', '-t', image, '-f', 'docker/Dockerfile', '.']);
  project.provide('image', image);
  return async () => {
    await run(['docker', 'image', 'rm', image]);
  };
}
