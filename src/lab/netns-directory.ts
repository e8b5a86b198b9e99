/**
 * A place for namespaces that this process may write to.
 *
 * ip-netns(8) keeps namespaces in /var/run/netns. Inside a user namespace (`unshare -Urnm`) that folder belongs to
 * somebody else, so a tmpfs is mounted over it: seen by this process and its children only, gone with them.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../sys/tool.ts';
import { isInUserNamespace } from '../sys/user-namespace.ts';

/** Where ip-netns(8) keeps its namespaces. */
export const NETNS_DIRECTORY = '/var/run/netns';

const ADVICE = 'inside a user namespace, taplab needs a mount namespace of its own too: `unshare -Urnm`';

/** Makes the folder writable where that is in this process's power. Throws ToolError. */
export async function prepareNetnsDirectory(): Promise<void> {
  if (!isInUserNamespace()) return;
  if (existsSync(NETNS_DIRECTORY)) {
    if (!isWritable(NETNS_DIRECTORY)) await mount('-t', 'tmpfs', 'tmpfs', realpathSync(NETNS_DIRECTORY));
    return;
  }
  const run = realpathSync('/var/run');
  if (!isWritable(run)) await replaceRun(run);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function mount(...args: string[]): Promise<void> {
  await runTool('mount', args, { attempt: `mount ${args.at(-1)}`, advice: () => ADVICE });
}

/** Puts a tmpfs over /run in which every folder of the old one is bound, so that nothing but its owner changes. */
async function replaceRun(run: string): Promise<void> {
  const old = mkdtempSync(join(tmpdir(), 'taplab-run-'));
  try {
    await mount('--rbind', run, old);
    await mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', run);
    for (const entry of readdirSync(old, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      mkdirSync(join(run, entry.name));
      await mount('--rbind', join(old, entry.name), join(run, entry.name));
    }
    await runTool('umount', ['--lazy', old], { attempt: `unmount ${old}` });
  } finally {
    rmdirSync(old);
  }
}
