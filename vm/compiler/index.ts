/** The expression compiler: pcap-filter(7) to classic BPF. */

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
