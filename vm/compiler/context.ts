/**
 * Where things are in the frame, while an expression is lowered from left to right.
 *
 * `vlan`, `mpls`, `pppoes`, `geneve` and `vxlan` change it for all that follows them in the expression, as
 * pcap-filter(7) says. An offset is a constant, or a constant plus what a word of scratch memory holds at run time.
 */

import { BPF_MEMWORDS, type Dialect } from '../instruction.ts';
import { FilterSyntaxError, type Span } from './errors.ts';
import type { Encapsulation, LinkType } from './link-type.ts';
import type { Resolver } from './resolver.ts';

/** A place in the frame: `constant` bytes, plus M[`register`] when there is one. */
export type Offset = { readonly constant: number; readonly register: number | undefined };

/** What the compiler was told besides the expression. */
export type Settings = {
  readonly linkType: LinkType;
  readonly netmask: number | undefined;
  readonly dialect: Dialect;
  readonly resolver: Resolver;
};

/** Words of scratch memory left to arithmetic, however many tunnels there are. */
const ARITHMETIC_REGISTERS = 4;

export class Context {
  readonly settings: Settings;
  encapsulation: Encapsulation;
  linkHeader: Offset = { constant: 0, register: undefined };
  /** The field that names the payload's protocol. Without one its value is not used. */
  linkProtocol: Offset;
  payload: Offset;
  /** From the payload to the network header: 0, or the MPLS labels passed. */
  networkOffset = 0;
  /** From the payload to an OSI network header, which follows an LLC header. */
  llcLength: number;
  mplsDepth = 0;
  vlanDepth = 0;
  /** Inside geneve or vxlan. */
  tunnelled = false;
  /** Inside geneve, whose payload need not be Ethernet. */
  linkHeaderOptional = false;
  /** The primitive being lowered. */
  span: Span = { start: 0, end: 0 };
  /** Its number or name, when it has one. */
  argumentSpan: Span | undefined;
  #tunnelRegisters = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    const { linkType } = settings;
    this.encapsulation = linkType.encapsulation;
    this.linkProtocol = { constant: linkType.protocolOffset ?? 0, register: undefined };
    this.payload = { constant: linkType.payloadOffset, register: undefined };
    this.llcLength = linkType.llcLength;
  }

  /** A word of scratch memory for the rest of the program. */
  allocateRegister(): number {
    if (this.#tunnelRegisters === BPF_MEMWORDS - ARITHMETIC_REGISTERS) {
      this.fail('too many tunnels inside each other: they need more scratch memory than BPF has');
    }
    return this.#tunnelRegisters++;
  }

  /** The `index`th word of scratch memory for intermediate results. */
  temporaryRegister(index: number): number {
    const register = BPF_MEMWORDS - 1 - index;
    if (register < this.#tunnelRegisters) {
      this.fail(
        'the arithmetic has too many intermediate results: it needs more scratch memory than BPF has',
      );
    }
    return register;
  }

  /** Throws at the primitive being lowered. */
  fail(message: string): never {
    throw new FilterSyntaxError(this.span.start, message);
  }

  /** Throws at the number or name of the primitive being lowered. */
  failAtArgument(message: string): never {
    throw new FilterSyntaxError((this.argumentSpan ?? this.span).start, message);
  }
}

/** The place `bytes` further on. */
export function shift(offset: Offset, bytes: number): Offset {
  return { constant: offset.constant + bytes, register: offset.register };
}
