/** What a running lab has counted, and whether it adds up. */
import { expect } from 'vitest';
import type { DirectionStatus, InterfaceStatus, LinkStatus } from '../../src/daemon/contract.ts';
import type { RunningLab } from './real.ts';

/**
 * What a link and its interfaces have counted, at a moment between two frames: a node's kernel may send one at any time.
 * Checked: what came in at an end is what the direction was offered, and the far end was given what it delivered; each
 * frame, copies included, was delivered or dropped for a reason.
 */
export async function balancedBooks(lab: RunningLab, link: string): Promise<LinkStatus> {
  const [status, interfaces] = await whenIdle(lab, link);
  const named = (name: string): InterfaceStatus => interfaces.find((each) => each.name === name)!;
  for (const direction of [status.forward, status.reverse]) {
    const { from, to, offered, delivered, duplicated, drops } = direction;
    const dropped = Object.values(drops).reduce((sum, each) => sum + each, 0);
    expect(offered, `offered from ${from}`).toEqual(named(from).receive);
    expect(delivered, `delivered to ${to}`).toEqual(named(to).transmit);
    expect(offered.frames + duplicated, `from ${from} to ${to}`).toBe(delivered.frames + dropped);
  }
  return status;
}

async function whenIdle(lab: RunningLab, link: string): Promise<[LinkStatus, InterfaceStatus[]]> {
  type Interfaces = { interfaces: InterfaceStatus[] };
  const counted = ({ interfaces }: Interfaces): string =>
    JSON.stringify(interfaces.map(({ receive, transmit }) => [receive, transmit]));
  const isEmpty = ({ inFlight }: DirectionStatus): boolean => inFlight === 0;
  for (let tries = 0; ; tries++) {
    const before = await lab.request<Interfaces>('GET', '/v1/interfaces');
    const status = await lab.request<LinkStatus>('GET', `/v1/links/${link}`);
    const after = await lab.request<Interfaces>('GET', '/v1/interfaces');
    const isIdle = isEmpty(status.forward) && isEmpty(status.reverse) && counted(before) === counted(after);
    if (isIdle || tries === 100) return [status, after.interfaces];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
