/**
 * What demos are called and where their files are, and what to do about those that did not end in order: a demo that
 * was killed on memory devices leaves a folder; on kernel devices it leaves nothing, unless its lab was killed too.
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLab } from '../lab/parse.ts';
import { listLabs } from '../lab/state.ts';

const LAB = /^demo-\d+$/;
const FOLDER = /^taplab-demo-(\d+)-\w{6}$/;
/** A socket's path has to fit in 108 bytes (unix(7)). */
const LONGEST_FOLDER = 80;

/** The name of this demo's lab. */
export function labName(): string {
  return `demo-${process.pid}`;
}

/** Makes a folder for this demo, short enough for a socket in it. */
export function makeFolder(): string {
  return mkdtempSync(join(folders(), `taplab-demo-${process.pid}-`));
}

/** Removes the folders of demos that do not run any more; nobody's but this user's. What cannot be removed stays. */
export function removeFolders(): void {
  for (const name of namesIn(folders())) {
    const pid = FOLDER.exec(name)?.[1];
    if (pid === undefined || exists(Number(pid))) continue;
    const path = join(folders(), name);
    try {
      const info = lstatSync(path);
      if (info.isDirectory() && info.uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another demo was faster, or it is in use. It is in nobody's way.
    }
  }
}

/**
 * Removes what is left of demos' labs whose daemons do not run any more: namespaces, sockets, state files. What cannot
 * be removed stays, as no demo uses the name of another. Needs what labs on kernel devices need.
 */
export async function removeLeftovers(labFile: string): Promise<void> {
  const dead = listLabs().filter(({ lab, running }) => LAB.test(lab) && !running);
  if (dead.length === 0) return;
  const { claimLab } = await import('../lab/claim.ts');
  const lab = await readLab(labFile);
  for (const { lab: name, socket } of dead) {
    try {
      // Whoever claims a lab removes what a dead process has left of it.
      (await claimLab({ ...lab, name }, { socket })).release();
    } catch {
      // Claimed by another demo that does the same, or not to be removed.
    }
  }
}

function folders(): string {
  return tmpdir().length > LONGEST_FOLDER ? '/tmp' : tmpdir();
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
