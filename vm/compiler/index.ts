/**
 * The expression compiler: pcap-filter(7) to classic BPF, for the link types in `LINK_TYPES`.
 *
 * It accepts what libpcap accepts and decides as libpcap does, except that
 * - an optimised program decides like the unoptimised one for every packet, also for one too short to be tested
 *   (libpcap's optimizer may accept such a packet);
 * - arithmetic tests for the protocol of every operand (libpcap forgets that of the right-hand one), and `%` and
 *   `^` have the precedence they have in C;
 * - `protochain` does not loop: it follows up to eight headers, steps over AH correctly, and passes every validator;
 * - an expression that nothing can match is no error: its program rejects;
 * - names of hosts, networks and Ethernet stations come from the resolver that is passed in; services and protocols
 *   from the compiler's own tables.
 */

export { type CompileOptions, compileFilter, DEFAULT_SNAP_LENGTH } from './compile.ts';
export { FilterSyntaxError } from './errors.ts';
export { explain } from './explain.ts';
export {
  LINK_TYPES,
  type LinkType,
  type LinkTypeName,
  linkTypeByName,
  linkTypeByNumber,
} from './link-type.ts';
export type { ServicePorts, Transport } from './names.ts';
export type { Resolver } from './resolver.ts';
