/** What the benches stand on while they run. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Ground, output } from '../../bench/net/ground.ts';

test('what is taken down ends its processes, and nothing that goes on meanwhile can start others', async () => {
  const ground = new Ground();
  const child = await ground.start('sh', ['-c', 'echo ready; exec sleep 60'], /^ready$/);
  // A bench whose process ends goes on to the next, while the rest is still being taken down.
  const next = ground.run(['sleep', '60']).catch(() => ground.start('sleep', ['60']));
  const closed = ground.close();
  await expect(next).rejects.toThrow('being taken down');
  expect(() => ground.namespace('late')).toThrow('being taken down');
  await closed;
  expect([child.signalCode, existsSync(ground.folder)]).toEqual(['SIGTERM', false]);
});

test('what must come to its end is waited for', async () => {
  const ground = new Ground();
  const ends: string[] = [];
  const work = ground.uninterrupted(async () => {
    await output(['sleep', '0.2']);
    ends.push('work');
  });
  await ground.close().then(() => ends.push('closed'));
  await work;
  expect(ends).toEqual(['work', 'closed']);
  await expect(ground.uninterrupted(async () => {})).rejects.toThrow('being taken down');
});
