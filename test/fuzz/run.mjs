/**
 * Runs the fuzz targets for some seconds, guided by V8's block coverage: inputs that reach code no earlier one did
 * are kept and mutated further.
 *
 *     node test/fuzz/run.mjs [SECONDS] [SEED] [TARGET]
 *
 * Exit status 1 when an input fails; it is then written to a file that `node test/fuzz/run.mjs --replay FILE` runs
 * again, by the target that its name begins with. The same seed gives the same inputs as long as the code is the same.
 */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as capture from './capture.fuzz.mjs';
import * as control from './control.fuzz.mjs';
import * as text from './text.fuzz.mjs';
import * as vm from './vm.fuzz.mjs';

const MAXIMUM_INPUT_BYTES = 1024;
/** What each is to reach, and its share of the time. */
const TARGETS = [
  { name: 'vm', ...vm, covers: /\/dist\/vm\/[^?]*\.js$/, share: 0.4 },
  { name: 'capture', ...capture, covers: /\/dist\/src\/capture\/[^?]*\.js$/, share: 0.15 },
  { name: 'text', ...text, covers: /\/dist\/src\/(link|lab)\/[^?]*\.js$/, share: 0.15 },
  { name: 'control', ...control, covers: /\/dist\/src\/(control|bpf|capture)\/[^?]*\.js$/, share: 0.2 },
];

async function run({ name, fuzz, seeds, covers, words = [], open, close }, seconds, seed) {
  console.log(`fuzzing ${name} for ${seconds.toFixed(0)} s, seed ${seed}`);
  const random = generator(seed);
  const newCoverage = startCoverage(covers);
  const corpus = [];
  await open?.();
  const end = performance.now() + seconds * 1000;
  const pending = seeds();
  let runs = 0;
  while (performance.now() < end) {
    const input = pending.pop() ?? mutate(corpus, random, words);
    try {
      await fuzz(input);
    } catch (error) {
      report(name, input, error);
      return false;
    }
    runs++;
    if (newCoverage()) corpus.push(input);
  }
  await close?.();
  console.log(`${runs} inputs, ${corpus.length} of them reached new code, none failed`);
  return true;
}

function report(target, input, error) {
  const name = createHash('sha256').update(input).digest('hex').slice(0, 12);
  const file = join(tmpdir(), `${target}-fuzz-${name}`);
  writeFileSync(file, input);
  console.error(error);
  console.error(`input of ${input.length} bytes in ${file}; again: node test/fuzz/run.mjs --replay ${file}`);
}

/** A function that tells whether code was reached since the last call that never was before. */
function startCoverage(covers) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const seen = new Set();
  return () => {
    const before = seen.size;
    session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error) throw new Error(error.message);
      for (const { url, functions } of result) {
        if (!covers.test(url)) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            // How often, by powers of two: a loop that runs longer is something new.
            if (count > 0)
              seen.add(`${url}:${startOffset}:${endOffset}:${Math.min(12, 32 - Math.clz32(count))}`);
          }
        }
      }
    });
    return seen.size > before;
  };
}

/** A generator of numbers below `limit` (xorshift32). */
function generator(seed) {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const OPCODES = Buffer.from(
  '000102030405060c141516071c1d202425282c2d3034353c3d404445484c4d50545c6061646c747c80818487949ca4acb1',
  'hex',
);
const INTERESTING = [0, 1, 2, 4, 8, 13, 14, 15, 16, 23, 31, 32, 63, 64, 127, 128, 0xe0, 0xf0, 0xfe, 0xff];

/** A corpus entry with a few random changes. */
function mutate(corpus, random, words) {
  let input = Buffer.from(corpus[random(corpus.length)]);
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const isWord = words.length > 0 && random(2) === 0;
    input = isWord ? putWord(input, words, random) : change(input, corpus, random);
  }
  return input.subarray(0, MAXIMUM_INPUT_BYTES);
}

/** Puts a word of the target's language in, or in the place of another. */
function putWord(input, words, random) {
  const word = Buffer.from(words[random(words.length)], 'latin1');
  let at = random(input.length + 1);
  let end = at;
  if (random(2) === 0) {
    const isLetter = (i) => /\w/.test(String.fromCharCode(input[i] ?? 0));
    while (isLetter(at - 1)) at--;
    while (isLetter(end)) end++;
  }
  return Buffer.concat([input.subarray(0, at), word, input.subarray(end)]);
}

function change(input, corpus, random) {
  const at = random(input.length + 1);
  const instruction = 1 + 8 * random(Math.max(1, input.length >> 3));
  switch (random(9)) {
    case 0:
      if (at < input.length) input[at] ^= 1 << random(8);
      return input;
    case 1:
      if (at < input.length) input[at] = INTERESTING[random(INTERESTING.length)];
      return input;
    case 2:
      return Buffer.concat([input.subarray(0, at), Buffer.of(random(256)), input.subarray(at)]);
    case 3:
      return input.length > 2
        ? Buffer.concat([input.subarray(0, at), input.subarray(at + 1 + random(8))])
        : input;
    case 4: {
      const other = corpus[random(corpus.length)];
      return Buffer.concat([input.subarray(0, at), other.subarray(random(other.length))]);
    }
    case 5:
      if (instruction < input.length) input[instruction] = OPCODES[random(OPCODES.length)];
      return input;
    case 6:
      return Buffer.concat([
        input.subarray(0, instruction),
        Buffer.of(OPCODES[random(OPCODES.length)], 0, random(4), random(4), random(20), 0, 0, 0),
        input.subarray(instruction),
      ]);
    case 7:
      return Buffer.concat([input.subarray(0, instruction), input.subarray(instruction + 8)]);
    default:
      if (input.length > 0) input[0] = random(8);
      return input;
  }
}

if (process.argv[2] === '--replay') {
  const file = process.argv[3];
  const { fuzz, open, close } = TARGETS.find(({ name }) => basename(file).startsWith(`${name}-`));
  await open?.();
  await fuzz(readFileSync(file));
  await close?.();
  console.log('the input passes');
} else {
  const seconds = Number(process.argv[2] ?? 60);
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  const only = TARGETS.filter(({ name }) => name === process.argv[4]).map((target) => ({
    ...target,
    share: 1,
  }));
  const passed = [];
  for (const target of only.length > 0 ? only : TARGETS) {
    passed.push(await run(target, seconds * target.share, seed));
  }
  // A lab of a target that failed may be left.
  process.exit(passed.every(Boolean) ? 0 : 1);
}
