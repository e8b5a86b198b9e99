import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const VM = join(import.meta.dirname, '../../vm');
const FILES = readdirSync(VM, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

describe('vm/', () => {
  it('is found by this test', () => expect(FILES.length).toBeGreaterThan(20));

  it.each(FILES)('%s imports nothing from outside vm/, and nothing of Node', (file) => {
    const path = join(VM, file);
    const text = readFileSync(path, 'utf8');
    for (const [, specifier] of text.matchAll(/^(?:import |export |\} )(?:[^'\n]*from )?'([^']+)';$/gm)) {
      expect(specifier).toMatch(/^\.\.?\//);
      expect(relative(VM, join(dirname(path), specifier!))).not.toMatch(/^\.\./);
    }
    expect(text).not.toMatch(/\b(?:process|Buffer|require|globalThis\.process)\b[.(]/);
  });
});
