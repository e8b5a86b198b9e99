import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { isMissing } from '../helpers/requirements.ts';
import { JoinedLab, PAIR } from '../join/helper.ts';

let lab: JoinedLab;
afterEach(() => lab.close());

test.skipIf(isMissing('namespaces', 'tun'))(
  'up --resume goes on with links as set and descriptors as attached, after SIGKILL; without it, does not',
  { timeout: 60_000 },
  async () => {
    lab = new JoinedLab(`${PAIR}descriptors: [{ interface: "a:eth0", filter: arp }]\n`);
    const first = await lab.up();
    await lab.client.changeLink('ab', { forward: { delay: '7ms' } });
    await lab.client.attach('b:eth0', { filter: 'icmp', direction: 'in', immediate: true });
    const gone = await lab.client.attach('b:eth0', { filter: 'udp' });
    await lab.client.detach(gone.id);
    first.child.kill('SIGKILL');
    await new Promise((resolve) => first.child.once('exit', resolve));
    const second = await lab.up('--resume');
    expect((await lab.client.link('ab')).forward.settings.delayNs).toBe(7e6);
    expect((await lab.client.link('ab')).reverse.settings.delayNs).toBe(0);
    const descriptors = await lab.client.descriptors();
    expect(descriptors.map((each) => [each.interface, each.filter, each.direction, each.immediate])).toEqual([
      ['a:eth0', 'arp', 'inout', false],
      ['b:eth0', 'icmp', 'in', true],
    ]);
    second.child.kill('SIGTERM');
    await new Promise((resolve) => second.child.once('exit', resolve));
    const third = await lab.up();
    expect((await lab.client.link('ab')).forward.settings.delayNs).toBe(0);
    third.child.kill('SIGTERM');
    await new Promise((resolve) => third.child.once('exit', resolve));
    const file = readdirSync(lab.directory).find((name) => name.endsWith('.resume'))!;
    writeFileSync(join(lab.directory, file), '{');
    const damaged = await lab.up('--resume').catch((error: unknown) => error);
    expect(damaged).toBeInstanceOf(Error);
  },
);
