/** Removing what dead processes left, without namespaces: see namespaces.test.ts for those. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimLab, removeDeadLabs } from '../../src/lab/claim.ts';
import { listLabs } from '../../src/lab/state.ts';
import { pairLab } from '../helpers/lab.ts';

let directory: string;
let stateFile: string;
const socket = '/nonexistent/control.sock';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'taplab-claim-'));
  stateFile = join(directory, 'pair.json');
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Leaves the state of a process that is gone. */
async function die(): Promise<void> {
  const claim = await claimLab(pairLab(), { socket, directory });
  claim.release();
  writeFileSync(stateFile, JSON.stringify({ ...claim.state, pidStartTime: 1 }));
}

test('a dead lab is found by its socket, and removed', async () => {
  await die();
  expect(await removeDeadLabs(socket, directory)).toMatchObject([{ lab: 'pair', namespaces: [] }]);
  expect(existsSync(stateFile)).toBe(false);
  expect(await removeDeadLabs(socket, directory)).toEqual([]);
});

test('one with another socket is left alone', async () => {
  await die();
  expect(await removeDeadLabs('/nonexistent/other.sock', directory)).toEqual([]);
  expect(listLabs(directory)).toHaveLength(1);
});

test('a lab that runs is left alone', async () => {
  const claim = await claimLab(pairLab(), { socket, directory });
  expect(await removeDeadLabs(socket, directory)).toEqual([]);
  expect(listLabs(directory)).toMatchObject([{ running: true }]);
  claim.release();
});

test('a state directory that does not exist holds no dead lab', async () => {
  expect(await removeDeadLabs(socket, join(directory, 'none'))).toEqual([]);
});
