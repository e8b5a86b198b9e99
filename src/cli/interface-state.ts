/** What an interface is doing, in one word or three, as `ps` and `stats` show it. */
import type { LabResource } from '../control/schemas/resources.ts';
import type { InterfaceStatus } from '../daemon/contract.ts';
import type { Cell } from './table.ts';

export function interfaceState({ name, up }: InterfaceStatus, nodes: LabResource['nodes']): Cell {
  if (up) return { text: 'up', color: 'green' };
  const joins = nodes.some(({ join, interfaces }) => join === true && interfaces.includes(name));
  return joins ? { text: 'waiting for join', color: 'yellow' } : { text: 'down', color: 'red' };
}
