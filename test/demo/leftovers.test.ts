import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { makeFolder, removeFolders } from '../../src/demo/leftovers.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'test-'));
  vi.stubEnv('TMPDIR', base);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(base, { recursive: true });
});

/** The pid of a process that has ended. */
const dead = spawnSync('true').pid;

it('folders of demos that have ended are removed, and nothing else', () => {
  const own = basename(makeFolder());
  for (const name of [
    `taplab-demo-${dead}-Abc123`,
    `taplab-demo-${process.ppid}-Abc123`,
    'taplab-demo-Abc123',
  ]) {
    mkdirSync(join(base, name));
    writeFileSync(join(base, name, 'control.sock'), '');
  }
  mkdirSync(join(base, 'elsewhere'));
  symlinkSync(join(base, 'elsewhere'), join(base, `taplab-demo-${dead}-Linked`));
  writeFileSync(join(base, `taplab-demo-${dead}-AFile1`), '');
  removeFolders();
  const kept = [
    'elsewhere',
    own,
    `taplab-demo-${process.ppid}-Abc123`,
    'taplab-demo-Abc123',
    `taplab-demo-${dead}-Linked`,
    `taplab-demo-${dead}-AFile1`,
  ];
  expect(readdirSync(base).sort()).toEqual(kept.sort());
});

it('a folder for temporary files that is not there is no error', () => {
  vi.stubEnv('TMPDIR', join(base, 'none'));
  expect(removeFolders).not.toThrow();
});
