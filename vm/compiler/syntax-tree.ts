/**
 * The syntax tree of a filter expression. Every node knows which text it came from; nothing here knows about
 * link types or BPF.
 */

import type { Span } from './errors.ts';
import type { Protocol } from './keywords.ts';

export type Direction = 'src' | 'dst' | 'src or dst' | 'src and dst';
export type AddressType = 'host' | 'net' | 'port' | 'portrange' | 'proto' | 'protochain' | 'gateway';

/** What stands before a value: `tcp dst port`. A later value without qualifiers inherits the whole of it. */
export type Qualifiers = Span & {
  readonly protocol: Protocol | undefined;
  readonly direction: Direction | undefined;
  readonly type: AddressType | undefined;
};

/** The value of a match as written: `80`, `smtp`, `10.0.0.0/8`, `fe80::1`, `0:1:2:3:4:5`. */
export type Value = Span & { readonly text: string } & (
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'ipv4'; readonly address: string; readonly mask?: string; readonly prefix?: number }
    | { readonly kind: 'ipv6'; readonly address: string; readonly prefix?: number }
    | { readonly kind: 'mac' }
  );

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>';
export type Relation = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** Arithmetic over packet data: `ip[2:2] - 4 * (ip[0] & 0xf)`. */
export type Arithmetic = Span &
  (
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'length' }
    | {
        readonly kind: 'load';
        readonly protocol: Protocol;
        readonly index: Arithmetic;
        readonly size: number;
      }
    | { readonly kind: 'negate'; readonly operand: Arithmetic }
    | {
        readonly kind: 'binary';
        readonly operator: ArithmeticOperator;
        readonly left: Arithmetic;
        readonly right: Arithmetic;
      }
  );

/** Tests that take at most one number: `vlan 5`, `less 100`, `inbound`. */
export type PrimitiveName =
  | 'less'
  | 'greater'
  | 'inbound'
  | 'outbound'
  | 'ifindex'
  | 'vlan'
  | 'mpls'
  | 'pppoed'
  | 'pppoes'
  | 'geneve'
  | 'vxlan';

/** A condition. Chains are flat runs of one operator; `and` and `or` bind equally and to the left. */
export type Condition = Span &
  (
    | {
        readonly kind: 'chain';
        readonly operator: 'and' | 'or';
        readonly operands: readonly Condition[];
        /** Whether some operand moves the point of view into a tunnel, see `entersTunnel`. */
        readonly tunnels: boolean;
      }
    | { readonly kind: 'not'; readonly operand: Condition }
    | { readonly kind: 'match'; readonly qualifiers: Qualifiers; readonly value: Value }
    | { readonly kind: 'protocol'; readonly protocol: Protocol }
    | {
        readonly kind: 'compare';
        readonly relation: Relation;
        readonly left: Arithmetic;
        readonly right: Arithmetic;
      }
    | {
        readonly kind: 'cast';
        readonly name: 'broadcast' | 'multicast';
        readonly protocol: Protocol | undefined;
      }
    | {
        readonly kind: 'primitive';
        readonly name: PrimitiveName;
        readonly argument: number | undefined;
        readonly argumentSpan: Span | undefined;
      }
    | {
        readonly kind: 'byte';
        readonly index: number;
        readonly operator: '=' | '<' | '>' | '&' | '|';
        readonly value: number;
        readonly argumentSpan: Span;
      }
    | { readonly kind: 'llc'; readonly type: string | undefined; readonly argumentSpan: Span | undefined }
  );

const TUNNELS: ReadonlySet<string> = new Set([
  'vlan',
  'mpls',
  'pppoes',
  'geneve',
  'vxlan',
] satisfies PrimitiveName[]);

/** Whether what follows the condition in the expression is about the inside of a tunnel. */
export function entersTunnel(condition: Condition): boolean {
  switch (condition.kind) {
    case 'chain':
      return condition.tunnels;
    case 'not':
      return entersTunnel(condition.operand);
    case 'primitive':
      return TUNNELS.has(condition.name);
    default:
      return false;
  }
}
