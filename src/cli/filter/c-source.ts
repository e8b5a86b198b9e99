/** A program as C: a file that compiles by itself, with what the system call or library takes. Pure. */
import { disassemble } from '../../../vm/index.ts';
import { VERSION } from '../../package.ts';
import type { CompiledFilter } from './formats.ts';

type CForm = {
  /** How the filter is used, and what has to be included for it. */
  readonly usage: string;
  readonly includes: string;
  readonly instruction: string;
  readonly program: string;
  readonly lengthMember: string;
  readonly instructionsMember: string;
};

const BSD: CForm = {
  usage: 'pcap_setfilter(handle, &filter), or ioctl(fd, BIOCSETF, &filter) on a bpf(4) descriptor',
  // libpcap's header declares the same structures where the system has no <net/bpf.h>.
  includes:
    '#define _DEFAULT_SOURCE\n#include <sys/types.h>\n#ifdef __linux__\n#include <pcap/bpf.h>\n#else\n#include <net/bpf.h>\n#endif',
  instruction: 'bpf_insn',
  program: 'bpf_program',
  lengthMember: 'bf_len',
  instructionsMember: 'bf_insns',
};

const LINUX: CForm = {
  usage: 'setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter))',
  includes: '#include <linux/filter.h>',
  instruction: 'sock_filter',
  program: 'sock_fprog',
  lengthMember: 'len',
  instructionsMember: 'filter',
};

/** The C source of a program: `struct bpf_program` in the bsd dialect, `struct sock_fprog` in that of Linux. */
export function cSource({ program, title, linkType }: CompiledFilter): string {
  const form = program.dialect === 'linux' ? LINUX : BSD;
  const rows = disassemble(program, 'dd').replace(/^/gm, '\t').trimEnd();
  const frames = linkType === undefined ? '' : `Link type ${linkType.name} (${linkType.number}), `;
  return `/*
 * ${commentText(title) || 'every packet'}
 *
 * ${frames}${program.length} instructions, by taplab ${VERSION}.
 * Use: ${form.usage}
 */
${form.includes}

struct ${form.instruction} filter_instructions[] = {
${rows}
};

struct ${form.program} filter = {
	.${form.lengthMember} = sizeof(filter_instructions) / sizeof(filter_instructions[0]),
	.${form.instructionsMember} = filter_instructions,
};
`;
}

/** Text that neither ends the comment nor seems to begin another. */
function commentText(text: string): string {
  return text
    .replace(/[\p{Cc}\u2028\u2029\\]+/gu, ' ')
    .replace(/\*(?=\/)|\/(?=\*)/g, '$& ')
    .trim();
}
