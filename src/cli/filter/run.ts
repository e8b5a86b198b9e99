/**
 * Runs a filter over a capture. The filter is compiled once for each link type that is met, so that a pcapng file
 * with several interfaces works; packets are copied into the one memory that the wasm matchers of a thread share.
 * Memory is bounded by a chunk of input, what of it matches, and the reader's bounds.
 */
import { LINK_TYPES, linkTypeByNumber } from '../../../vm/compiler/index.ts';
import { createMatcher, type Engine, type Matcher, type Program } from '../../../vm/index.ts';
import { CaptureFormatError, type CapturePacket } from '../../capture/packet.ts';
import { CaptureReader } from '../../capture/reader.ts';
import { CliError } from '../errors.ts';
import { count, plural } from '../format.ts';
import { type CaptureInput, type CaptureKind, Head } from './capture-input.ts';
import type { OutputOpener, PacketOutput } from './packet-output.ts';
import type { Progress } from './progress.ts';
import { compileSource, type FilterSource } from './source.ts';

export type RunRequest = {
  readonly source: FilterSource;
  readonly input: CaptureInput;
  readonly engine: Engine;
  readonly openOutput: OutputOpener;
  readonly progress: Progress;
};

/** What was counted; bytes are as long as the packets were on the wire. */
export type RunCounts = { packets: number; bytes: number; matchedPackets: number; matchedBytes: number };

/** The filter for packets of one link type, and how many there were. */
export type LinkTypeCounts = {
  /** As in a pcap file's header. */
  readonly linkType: number;
  readonly program: Program;
  readonly match: Matcher;
  packets: number;
  matchedPackets: number;
};

export type RunResult = RunCounts & {
  readonly format: CaptureKind['format'];
  readonly linkTypes: readonly LinkTypeCounts[];
};

const ETHERNET = 1;

/** Runs a filter over a whole capture. Throws CliError or CaptureFileError; what matched before is written. */
export function runFilter(request: RunRequest): Promise<RunResult> {
  return new FilterRun(request).run();
}

/**
 * Says what is wrong with a filter before anything is read: an expression must compile for some link type.
 *
 * @throws CliError what is wrong with it on Ethernet
 */
export function requireFilter(source: FilterSource): void {
  try {
    compileSource(source, LINK_TYPES.EN10MB);
  } catch (error) {
    if (!(error instanceof CliError) || source.kind !== 'expression' || !compilesSomewhere(source))
      throw error;
  }
}

function compilesSomewhere(source: FilterSource): boolean {
  return Object.values(LINK_TYPES).some((linkType) => {
    try {
      compileSource(source, linkType);
      return true;
    } catch (error) {
      if (error instanceof CliError) return false;
      throw error;
    }
  });
}

class FilterRun {
  readonly #request: RunRequest;
  readonly #reader = new CaptureReader();
  readonly #head = new Head();
  readonly #linkTypes = new Map<number, LinkTypeCounts>();
  readonly #counts: RunCounts = { packets: 0, bytes: 0, matchedPackets: 0, matchedBytes: 0 };
  #output: PacketOutput | undefined;

  constructor(request: RunRequest) {
    this.#request = request;
  }

  async run(): Promise<RunResult> {
    const { input, progress } = this.#request;
    const counts = this.#counts;
    let readBytes = 0;
    try {
      for await (const chunk of input.chunks) {
        this.#head.push(chunk);
        this.#reader.push(chunk);
        this.#filterChunk();
        await this.#output?.flush();
        readBytes += chunk.length;
        progress.update(readBytes, counts.packets, counts.matchedPackets);
      }
      this.#reader.end();
      const kind = this.#kind;
      await this.#opened.finish(kind.linkType ?? ETHERNET);
      return { ...counts, format: kind.format, linkTypes: [...this.#linkTypes.values()] };
    } catch (error) {
      // What matched before the damage is as good as ever.
      await this.#output?.flush();
      throw this.#explained(error);
    } finally {
      progress.clear();
      this.#output?.close();
    }
  }

  /** Looks at every packet that is complete by now. */
  #filterChunk(): void {
    const counts = this.#counts;
    let current: LinkTypeCounts | undefined;
    for (let packet = this.#reader.next(); packet !== undefined; packet = this.#reader.next()) {
      if (current?.linkType !== packet.linkType) current = this.#linkTypeOf(packet);
      counts.packets++;
      counts.bytes += packet.wireLength;
      current.packets++;
      const keptBytes = current.match(packet.bytes, packet.wireLength);
      if (keptBytes === 0) continue;
      counts.matchedPackets++;
      counts.matchedBytes += packet.wireLength;
      current.matchedPackets++;
      this.#opened.add(packet, keptBytes);
    }
  }

  #linkTypeOf({ linkType }: CapturePacket): LinkTypeCounts {
    const known = this.#linkTypes.get(linkType);
    if (known !== undefined) return known;
    const { source, engine } = this.#request;
    const program = this.#compile(source, linkType);
    const match = createMatcher(program, { engine });
    const made: LinkTypeCounts = { linkType, program, match, packets: 0, matchedPackets: 0 };
    this.#linkTypes.set(linkType, made);
    return made;
  }

  #compile(source: FilterSource, linkType: number): Program {
    const known = linkTypeByNumber(linkType);
    // A program reads any frames.
    if (known !== undefined || source.kind === 'program') {
      try {
        return compileSource(source, known ?? LINK_TYPES.EN10MB);
      } catch (error) {
        if (!(error instanceof CliError) || known === undefined) throw error;
        throw new CliError(`${this.#where}: link type ${known.name}: ${error.message}`);
      }
    }
    throw new CliError(
      `${this.#where}: expressions cannot be compiled for link type ${linkType}, only for ${Object.keys(LINK_TYPES).join(', ')}; give a program`,
    );
  }

  get #where(): string {
    return `${this.#request.input.name}: packet ${count(this.#counts.packets + 1)}`;
  }

  /** Once a packet or the end has been read, the first bytes have been recognised. */
  get #kind(): CaptureKind {
    return this.#head.kind!;
  }

  get #opened(): PacketOutput {
    this.#output ??= this.#request.openOutput(this.#kind);
    return this.#output;
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof CaptureFormatError)) return error;
    const { packets, matchedPackets } = this.#counts;
    const before =
      packets === 0 ? '' : `; of the ${plural(packets, 'packet')} before it ${count(matchedPackets)} match`;
    return new CliError(`${this.#request.input.name}: ${error.message}${before}`);
  }
}
