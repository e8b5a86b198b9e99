/** The library as its users have it: compiled, because data planes are worker threads, which run from dist/. */
import type * as Library from '../../src/index.ts';
import { distPath } from '../helpers/dist.ts';

export const library: typeof Library = (await import(distPath('src/index.js'))) as typeof Library;

/** Two nodes, a and b, and the link `ab`. */
export function pair(device: 'tap' | 'memory', impair: string = 'clear'): Library.LabInput {
  return {
    name: 'library',
    device,
    nodes: {
      a: { interfaces: { eth0: { ip: '198.18.43.1/24' } } },
      b: { interfaces: { eth0: { ip: '198.18.43.2/24' } } },
    },
    links: [{ name: 'ab', endpoints: ['a:eth0', 'b:eth0'], impair }],
  };
}
