/**
 * Runs a filter over a capture. The filter is compiled once for each link type that is met, so that a pcapng file
 * with several interfaces works. Packets are decided in batches: all of a chunk that are of one link type in a row.
 * Memory is bounded by a chunk of input, what of it matches, and the reader's bounds.
 */
import { LINK_TYPES, linkTypeByNumber } from '../../../vm/compiler/index.ts';
import type { Dialect, Engine, Program } from '../../../vm/index.ts';
import { CaptureFormatError, type CapturePacket } from '../../capture/packet.ts';
import { CaptureReader } from '../../capture/reader.ts';
import { CliError } from '../errors.ts';
import { count, plural } from '../format.ts';
import { type CaptureInput, type CaptureKind, Head } from './capture-input.ts';
import { compileForCapture } from './capture-program.ts';
import { BatchMemory, type PacketFilter, packetFilter } from './packet-filter.ts';
import { type MetadataNeeds, metadataNeeds, missingFact } from './packet-metadata.ts';
import type { OutputOpener, PacketOutput } from './packet-output.ts';
import type { Progress } from './progress.ts';
import type { FilterSource } from './source.ts';

export type RunRequest = {
  readonly source: FilterSource;
  /** Unless told, bsd; or linux for an expression that asks for metadata. */
  readonly dialect: Dialect | undefined;
  readonly input: CaptureInput;
  readonly engine: Engine;
  readonly openOutput: OutputOpener;
  readonly progress: Progress;
};

/** Packets that are decided together at most. */
const BATCH_PACKETS = 4096;

/** What was counted; bytes are as long as the packets were on the wire. */
export type RunCounts = { packets: number; bytes: number; matchedPackets: number; matchedBytes: number };

/** Packets of one link type: the program they were run through, and how many there were. */
export type LinkTypeCounts = {
  /** As in a pcap file's header. */
  readonly linkType: number;
  readonly program: Program;
  packets: number;
  matchedPackets: number;
};

type LinkTypeFilter = LinkTypeCounts & { readonly needs: MetadataNeeds; readonly decide: PacketFilter };

export type RunResult = RunCounts & {
  readonly format: CaptureKind['format'];
  readonly linkTypes: readonly LinkTypeCounts[];
};

const ETHERNET = 1;

/** Runs a filter over a whole capture. Throws CliError or CaptureFileError; what matched before is written. */
export function runFilter(request: RunRequest): Promise<RunResult> {
  return new FilterRun(request).run();
}

class FilterRun {
  readonly #request: RunRequest;
  readonly #reader = new CaptureReader();
  readonly #head = new Head();
  readonly #linkTypes = new Map<number, LinkTypeFilter>();
  readonly #memory = new BatchMemory();
  readonly #verdicts = new Uint32Array(BATCH_PACKETS);
  /** Packets of one link type that wait to be decided. */
  #batch: CapturePacket[] = [];
  #batchFilter: LinkTypeFilter | undefined;
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
        progress.update(
          readBytes,
          () => `${count(counts.matchedPackets)} of ${count(counts.packets)} packets match`,
        );
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
    try {
      for (let packet = this.#reader.next(); packet !== undefined; packet = this.#reader.next()) {
        this.#add(packet);
      }
    } finally {
      this.#decide();
    }
  }

  #add(packet: CapturePacket): void {
    if (this.#batchFilter?.linkType !== packet.linkType || this.#batch.length === BATCH_PACKETS) {
      this.#decide();
      this.#batchFilter = this.#filterOf(packet);
    }
    const missing = missingFact(this.#batchFilter.needs, packet);
    if (missing !== undefined) {
      throw new CliError(`${this.#where}: ${missing}, which the filter '${this.#request.source.name}' asks`);
    }
    this.#batch.push(packet);
    this.#counts.packets++;
    this.#counts.bytes += packet.wireLength;
    this.#batchFilter.packets++;
  }

  /** Decides the packets that wait, and passes on those that match. */
  #decide(): void {
    const packets = this.#batch;
    const filter = this.#batchFilter;
    if (filter === undefined || packets.length === 0) return;
    this.#batch = [];
    filter.decide(packets, this.#verdicts);
    for (const [i, packet] of packets.entries()) {
      const keptBytes = this.#verdicts[i]!;
      if (keptBytes === 0) continue;
      this.#counts.matchedPackets++;
      this.#counts.matchedBytes += packet.wireLength;
      filter.matchedPackets++;
      this.#opened.add(packet, keptBytes);
    }
  }

  #filterOf({ linkType }: CapturePacket): LinkTypeFilter {
    const known = this.#linkTypes.get(linkType);
    if (known !== undefined) return known;
    const program = this.#compile(linkType);
    const needs = metadataNeeds(program);
    const decide = packetFilter(program, this.#request.engine, this.#memory);
    const made = { linkType, program, needs, decide, packets: 0, matchedPackets: 0 };
    this.#linkTypes.set(linkType, made);
    return made;
  }

  #compile(linkType: number): Program {
    const { source, dialect } = this.#request;
    const known = linkTypeByNumber(linkType);
    // A program reads any frames.
    if (known === undefined && source.kind !== 'program') {
      throw new CliError(
        `${this.#where}: expressions cannot be compiled for link type ${linkType}, only for ${Object.keys(LINK_TYPES).join(', ')}; give a program`,
      );
    }
    try {
      return compileForCapture(source, known ?? LINK_TYPES.EN10MB, dialect);
    } catch (error) {
      if (!(error instanceof CliError) || known === undefined) throw error;
      throw new CliError(`${this.#where}: link type ${known.name}: ${error.message}`);
    }
  }

  /** The packet that is being read. */
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
