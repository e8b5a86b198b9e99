/** Labs for the benchmark, made without a lab file. */
import type { Lab, LabInterface } from '../../src/lab/model.ts';

/** A lab of `count` interfaces `n0:eth0`, `n1:eth0` ..., without links. */
export function labOf(count: number, virtual: boolean): Lab {
  const node = (name: string): Lab['nodes'][number] => ({
    name,
    interfaces: [benchInterface(name, virtual)],
    routes: [],
  });
  return {
    name: 'bench',
    seed: 1,
    workers: 1,
    nodes: Array.from({ length: count }, (_, i) => node(`n${i}`)),
    links: [],
    descriptors: [],
    virtual,
  };
}

function benchInterface(node: string, virtual: boolean): LabInterface {
  return {
    name: `${node}:eth0`,
    node,
    device: 'eth0',
    kind: virtual ? 'memory' : 'tap',
    addresses: [],
    mac: '02:00:00:00:00:01',
    mtu: 1500,
  };
}
