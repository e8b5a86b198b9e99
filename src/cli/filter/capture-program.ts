/** The program of a FILTER for the packets of a capture: which dialect it is in, and whether it can be told. */
import { LINK_TYPES, type LinkType } from '../../../vm/compiler/index.ts';
import type { Dialect, Program } from '../../../vm/index.ts';
import { CliError } from '../errors.ts';
import { metadataNeeds } from './packet-metadata.ts';
import { compileSource, type FilterSource } from './source.ts';

/**
 * The program of a FILTER for packets of a link type. Unless a dialect is asked for it is bsd, but linux for an
 * expression that only that can hold: `inbound`, `outbound` and `ifindex` on most link types.
 *
 * @throws CliError also for a program that reads what no capture holds
 */
export function compileForCapture(
  source: FilterSource,
  linkType: LinkType,
  dialect: Dialect | undefined,
): Program {
  const program = compileInDialect(source, linkType, dialect);
  metadataNeeds(program);
  return program;
}

function compileInDialect(source: FilterSource, linkType: LinkType, dialect: Dialect | undefined): Program {
  if (dialect !== undefined || source.kind !== 'expression')
    return compileSource(source, linkType, { dialect });
  try {
    return compileSource(source, linkType);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    // If it cannot be compiled at all, both say the same.
    return compileSource(source, linkType, { dialect: 'linux' });
  }
}

/**
 * Says what is wrong with a filter before anything is read: an expression must compile for some link type.
 *
 * @throws CliError what is wrong with it on Ethernet
 */
export function requireFilter(source: FilterSource, dialect: Dialect | undefined): void {
  const [first, ...others] = Object.values(LINK_TYPES);
  try {
    compileForCapture(source, first!, dialect);
  } catch (error) {
    if (!(error instanceof CliError) || source.kind !== 'expression') throw error;
    if (!others.some((linkType) => compiles(source, linkType, dialect))) throw error;
  }
}

function compiles(source: FilterSource, linkType: LinkType, dialect: Dialect | undefined): boolean {
  try {
    compileForCapture(source, linkType, dialect);
    return true;
  } catch (error) {
    if (error instanceof CliError) return false;
    throw error;
  }
}
