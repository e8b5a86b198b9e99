/** Against libpcap's own accept and reject tables: the same verdicts over a corpus of frames. */

import { describe, expect, test } from 'vitest';
import {
  type CompileOptions,
  compileFilter,
  FilterSyntaxError,
  type LinkTypeName,
} from '../../../vm/compiler/index.ts';
import { interpret } from '../../../vm/interpreter.ts';
import { Program } from '../../../vm/program.ts';
import {
  type Frame,
  fromRows,
  hasVectors,
  type InstructionRows,
  readCorpus,
  readVectors,
} from '../helpers/vectors.ts';
import { rewrap } from './frames.ts';
import { vectorResolver } from './vector-names.ts';

type AcceptRow = {
  readonly linkType: LinkTypeName;
  readonly expr: string;
  readonly optimize: 0 | 1;
  readonly netmask: string | null;
  readonly snaplen: number | null;
  readonly linuxext: string;
  readonly insns: InstructionRows;
};
type RejectRow = { readonly linkType: LinkTypeName; readonly expr: string; readonly error: string };

/** Rows that are no filter expressions of pcap-filter(7). */
const OUT_OF_SCOPE: ReadonlyMap<string, string> = new Map([
  ['_enumerate_bpf_image', 'a listing of every opcode, not an expression'],
]);

function optionsOf(row: AcceptRow): CompileOptions {
  return {
    linkType: row.linkType,
    optimize: row.optimize === 1,
    netmask: row.netmask ?? undefined,
    snapLength: row.snaplen ?? undefined,
    resolver: vectorResolver,
    dialect: row.linuxext === '' ? 'bsd' : 'linux',
  };
}

const ACCEPT = 'pcap-filter-accept.jsonl';
const REJECT = 'pcap-filter-reject.jsonl';

describe.skipIf(!hasVectors(ACCEPT))(
  'libpcap tables (../shared/vectors; skipped where that folder is not)',
  () => {
    const corpus = readCorpus('corpus-en10mb.pcap');
    const framesByLinkType = new Map<LinkTypeName, readonly Frame[]>();
    const framesOf = (linkType: LinkTypeName): readonly Frame[] => {
      const known = framesByLinkType.get(linkType) ?? rewrap(corpus, linkType);
      framesByLinkType.set(linkType, known);
      return known;
    };

    test('every accept row decides like the program given, over every frame', () => {
      const failures: string[] = [];
      for (const row of readVectors<AcceptRow>(ACCEPT)) {
        if (OUT_OF_SCOPE.has(row.expr)) continue;
        const label = `${row.linkType} '${row.expr}' optimize=${row.optimize}`;
        try {
          const ours = compileFilter(row.expr, optionsOf(row));
          const theirs = Program.from(fromRows(row.insns), { dialect: ours.dialect, backwardJumps: true });
          const differing = framesOf(row.linkType).findIndex(({ bytes, wireLength }) => {
            return interpret(ours, bytes, wireLength) !== interpret(theirs, bytes, wireLength);
          });
          if (differing >= 0) failures.push(`${label}: frame ${differing}`);
        } catch (error) {
          failures.push(`${label}: ${String(error)}`);
        }
      }
      expect(failures).toEqual([]);
    });

    test('every reject row is refused, or rejects every frame', () => {
      const accepted: string[] = [];
      for (const { linkType, expr } of readVectors<RejectRow>(REJECT)) {
        try {
          const program = compileFilter(expr, { linkType, resolver: vectorResolver });
          if (
            framesOf(linkType).some(({ bytes, wireLength }) => interpret(program, bytes, wireLength) !== 0)
          ) {
            accepted.push(`${linkType} '${expr}'`);
          }
        } catch (error) {
          if (!(error instanceof FilterSyntaxError)) throw error;
        }
      }
      expect(accepted).toEqual([]);
    });

    test('optimised programs are no longer than those of libpcap at the median', () => {
      const differences = readVectors<AcceptRow>(ACCEPT)
        .filter((row) => row.optimize === 1 && !OUT_OF_SCOPE.has(row.expr))
        .map((row) => ({
          row,
          difference: compileFilter(row.expr, optionsOf(row)).length - row.insns.length,
        }))
        .sort((a, b) => a.difference - b.difference);
      const at = (share: number): number =>
        differences[Math.floor(share * (differences.length - 1))]!.difference;
      console.log(
        `length minus that of libpcap, ${differences.length} rows: min ${at(0)}, p10 ${at(0.1)}, median ${at(0.5)}, ` +
          `p90 ${at(0.9)}, max ${at(1)}`,
      );
      for (const { row, difference } of differences.filter((each) => each.difference > 0)) {
        console.log(`  +${difference} ${row.linkType} '${row.expr}'`);
      }
      expect(at(0.5)).toBeLessThanOrEqual(0);
    });
  },
);
