import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../helpers/real.ts';
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
    // Nothing was changed in it, so there is nothing to be resumed.
    expect(readdirSync(lab.directory).filter((name) => name.endsWith('.resume'))).toEqual([]);
    writeFileSync(join(lab.directory, `${lab.name}.resume`), '{');
    const damaged = await lab.up('--resume').catch((error: unknown) => error);
    expect(damaged).toBeInstanceOf(Error);
  },
);

test.skipIf(isMissing('namespaces', 'tun'))(
  'up --resume on a lab file that was edited says what holds: the file where it has changed, what was set elsewhere',
  { timeout: 60_000 },
  async () => {
    lab = new JoinedLab(`${PAIR}`);
    writeFileSync(join(lab.directory, 'up.trace'), '1\n3\n');
    const impaired = (delay: string): string => {
      const impair = `forward: { delay: ${delay} }, reverse: { trace: up.trace }`;
      return PAIR.replace('"b:eth0"] }', `"b:eth0"], ${impair} }`);
    };
    lab.write(impaired('1ms'));
    const first = await lab.up();
    await lab.client.changeLink('ab', { forward: { delay: '7ms', loss: '1%' } });
    first.child.kill('SIGKILL');
    await new Promise((resolve) => first.child.once('exit', resolve));
    lab.write(impaired('9ms'));
    const second = await lab.up('--resume');
    const { forward, reverse } = await lab.client.link('ab');
    expect(forward.settings).toMatchObject({ delayNs: 9e6, loss: 0.01 });
    expect(reverse.settings.trace).toMatchObject({ entries: 2 });
    await eventually(() => second.text.includes('  resumed  '));
    expect(second.text).toMatch(/resumed {2}link ab, forward: "delay 9ms" of the lab file.*"delay 7ms".*not/);
    expect(second.text).toMatch(/resumed {2}link ab, forward: "loss 1%", set at run time, holds/);
    expect(second.text).not.toMatch(/reverse:|was not resumed/);
  },
);
