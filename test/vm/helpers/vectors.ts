/**
 * The optional test vectors: `../shared/vectors` next to the project. Tests that need them are skipped, saying so,
 * when the folder is not there.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instruction } from '../../../vm/index.ts';

const FOLDER = join(import.meta.dirname, '../../../../shared/vectors');

/** A program as the vectors write it: `[code, jt, jf, k]` rows. */
export type InstructionRows = readonly (readonly [number, number, number, number])[];

export function fromRows(rows: InstructionRows): Instruction[] {
  return rows.map(([code, jt, jf, k]) => ({ code, jt, jf, k }));
}

/** Whether a vector file is there; prints what is skipped when it is not. */
export function hasVectors(file: string): boolean {
  const found = existsSync(join(FOLDER, file));
  if (!found) console.warn(`skipped: ../shared/vectors/${file} is not there`);
  return found;
}

/** The rows of a vector file; none when it is not there. */
export function readVectors<Row>(file: string): Row[] {
  if (!existsSync(join(FOLDER, file))) return [];
  const lines = readFileSync(join(FOLDER, file), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}

/** A captured frame with its length on the wire. */
export type Frame = { readonly bytes: Uint8Array; readonly wireLength: number };

/** Frames of a little-endian pcap file among the vectors; none when it is not there. */
export function readCorpus(file: string): Frame[] {
  if (!existsSync(join(FOLDER, file))) return [];
  const pcap = readFileSync(join(FOLDER, file));
  const frames: Frame[] = [];
  for (let at = 24; at < pcap.length; ) {
    const captured = pcap.readUInt32LE(at + 8);
    const wireLength = pcap.readUInt32LE(at + 12);
    frames.push({ bytes: new Uint8Array(pcap.subarray(at + 16, at + 16 + captured)), wireLength });
    at += 16 + captured;
  }
  return frames;
}

/** What `tcpdump -y EN10MB -ddd` compiles an expression to, or undefined when tcpdump is not installed. */
export function tcpdumpProgram(expression: string): string | undefined {
  try {
    return execFileSync('tcpdump', ['-y', 'EN10MB', '-ddd', expression], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
