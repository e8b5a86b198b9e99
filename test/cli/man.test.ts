import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { completionScript, SHELLS } from '../../src/cli/completion.ts';
import { Context } from '../../src/cli/context.ts';
import { manPages } from '../../src/cli/man.ts';
import { createProgram } from '../../src/cli/program.ts';
import { Terminal } from '../../src/cli/terminal.ts';

const DIRECTORY = fileURLToPath(new URL('../../man/', import.meta.url));

function program(): ReturnType<typeof createProgram> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  return createProgram(new Context(new Terminal(nowhere, nowhere)));
}

describe('man pages', () => {
  test('man/ is what the commands say; UPDATE_MAN=1 writes it', async () => {
    const pages = manPages(await program());
    if (process.env.UPDATE_MAN === '1') {
      rmSync(DIRECTORY, { recursive: true, force: true });
      mkdirSync(DIRECTORY);
      for (const [name, text] of pages) writeFileSync(join(DIRECTORY, name), text);
    }
    expect(readdirSync(DIRECTORY).sort()).toEqual([...pages.keys()].sort());
    for (const [name, text] of pages) expect(readFileSync(join(DIRECTORY, name), 'utf8'), name).toBe(text);
  });

  test('the package names them all, so that npm installs them', () => {
    const { man } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      man: string[];
    };
    expect(man.toSorted()).toEqual(
      readdirSync(DIRECTORY)
        .map((name) => `./man/${name}`)
        .sort(),
    );
  });

  test('man(1) finds nothing wrong with them', () => {
    for (const name of readdirSync(DIRECTORY)) {
      const { error, stderr, stdout } = spawnSync('man', ['--warnings', '-l', join(DIRECTORY, name)], {
        encoding: 'utf8',
        env: { ...process.env, MANWIDTH: '200', LC_ALL: 'C.UTF-8' },
      });
      if (error) return console.warn(`SKIPPED: ${error.message}`);
      expect(
        stderr
          .split('\n')
          .filter((line) => !/can't break|cannot adjust|cannot break/.test(line))
          .join(''),
        name,
      ).toBe('');
      if (stdout !== '') expect(stdout).toContain('SYNOPSIS');
    }
  });
});

describe('shell completions', () => {
  test.each(SHELLS)('%s takes the script', async (shell) => {
    const directory = mkdtempSync(join(tmpdir(), 'completion-'));
    const file = join(directory, `taplab.${shell}`);
    writeFileSync(file, completionScript(await program(), shell));
    const { error, status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    if (error) return console.warn(`SKIPPED: ${shell} is not installed`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.each<[line: string, offered: string[], not: string[]]>([
    ['taplab ', ['up', 'down', 'join', 'filter', '--socket'], ['compile']],
    ['taplab --socket /x jo', ['join'], ['up']],
    ['taplab filter ', ['compile', 'run', 'explain'], ['up']],
    ['taplab up --log-level ', ['debug', 'silent'], ['--detach']],
    ['taplab up --de', ['--detach'], ['--socket']],
    ['taplab attach a:eth0 --direction ', ['in', 'out', 'inout'], []],
  ])('bash, after "%s"', async (line, offered, not) => {
    const directory = mkdtempSync(join(tmpdir(), 'completion-'));
    const file = join(directory, 'taplab.bash');
    writeFileSync(file, completionScript(await program(), 'bash'));
    const script = `. ${file}; COMP_WORDS=(${line.trimEnd()}${line.endsWith(' ') ? ' ""' : ''})
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _taplab; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    expect(stderr).toBe('');
    const words = stdout.trim().split('\n');
    expect(words).toEqual(expect.arrayContaining(offered));
    for (const word of not) expect(words).not.toContain(word);
  });
});
