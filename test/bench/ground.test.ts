/** What the benches stand on while they run. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Ground } from '../../bench/net/ground.ts';

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
