/**
 * The control socket from the other side: one method per operation of the server, over node:http. What the server
 * refuses is thrown as ControlError with its problem document; a socket that does not answer, as ConnectionError
 * that says what to do.
 */
import { statSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { CaptureFormat } from '../capture/formats.ts';
import type { MergedFormat } from '../capture/merged-output.ts';
import type {
  AddressStatus,
  InterfaceStatus,
  LinkStatus,
  SwitchStatus,
  WorkerStatus,
} from '../daemon/contract.ts';
import { listLabs } from '../lab/state.ts';
import { MAX_TIMER_MS } from '../sys/timer.ts';
import { PROBLEM_MEDIA_TYPE, type Problem, problem } from './problem.ts';
import type {
  AttachRequest,
  DescriptorChange,
  LinkChangeRequest,
  OneLinkChangeRequest,
} from './schemas/requests.ts';
import type { DescriptorResource, LabResource, LinkChanged, NodeResource } from './schemas/resources.ts';

/** What the server refused; `problem` is its answer. */
export class ControlError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'ControlError';
    this.problem = problem;
  }
}

/** Nobody answers on the socket, or the answer broke off; `code` is the errno name. */
export class ConnectionError extends Error {
  readonly code: string;
  readonly socketPath: string;

  constructor(socketPath: string, code: string) {
    super(connectionMessage(socketPath, code));
    this.name = 'ConnectionError';
    this.code = code;
    this.socketPath = socketPath;
  }
}

/** sockaddr_un of unix(7): 108 bytes, the last of them zero. */
const MAX_PATH_BYTES = 107;

function isTooLong(path: string): boolean {
  return Buffer.byteLength(path) > MAX_PATH_BYTES;
}

function connectionMessage(path: string, code: string): string {
  if (isTooLong(path)) {
    return `the socket path ${path} has ${Buffer.byteLength(path)} bytes, and unix(7) allows ${MAX_PATH_BYTES}`;
  }
  switch (code) {
    case 'ETIMEDOUT': {
      const lab = listLabs().find((each) => each.running && each.socket === path);
      const pid = lab === undefined ? '' : ` (pid ${lab.pid})`;
      return `taplab${pid} does not answer on ${path}; it may be stopped (\`kill -CONT\` lets it go on) or overloaded`;
    }
    case 'ENOTSOCK':
      return `${path} is not a socket; name the one of a lab with --socket`;
    case 'ENOENT':
    case 'ECONNREFUSED':
      if (statSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
        return connectionMessage(path, 'ENOTSOCK');
      }
      return `no taplab is listening on ${path}; start one with \`taplab up LAB.yaml\` or name its socket with --socket`;
    case 'EACCES':
    case 'EPERM':
      return `no access to ${path} (${code}); its owner and group may use it: try as root, or start it with \`taplab up --group\``;
    case 'EAGAIN':
      return `so many are trying to reach taplab on ${path} that it cannot accept them as fast (EAGAIN); try again`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `taplab closed the connection on ${path} (${code}); it may be going down, or have all the connections it takes`;
    default:
      return `cannot talk to taplab on ${path}: ${code}`;
  }
}

/** The body of an attach request; what is left out has the server's default. */
export type AttachBody = { readonly [Key in keyof AttachRequest]?: AttachRequest[Key] | undefined };

type Send = { readonly body?: object };

const DEFAULT_TIMEOUT_MS = 10_000;

export class ControlClient {
  readonly socketPath: string;
  /** How long an answer may take, of a stream its head. Counts for the requests that follow. */
  timeoutMs: number = DEFAULT_TIMEOUT_MS;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  async interfaces(): Promise<InterfaceStatus[]> {
    return (await this.#json<{ interfaces: InterfaceStatus[] }>('GET', '/v1/interfaces')).interfaces;
  }

  interface(name: string): Promise<InterfaceStatus> {
    return this.#json('GET', `/v1/interfaces/${encodeURIComponent(name)}`);
  }

  attach(interfaceName: string, body: AttachBody = {}): Promise<DescriptorResource> {
    return this.#json('POST', `/v1/interfaces/${encodeURIComponent(interfaceName)}/descriptors`, { body });
  }

  async descriptors(): Promise<DescriptorResource[]> {
    return (await this.#json<{ descriptors: DescriptorResource[] }>('GET', '/v1/descriptors')).descriptors;
  }

  descriptor(id: number): Promise<DescriptorResource> {
    return this.#json('GET', `/v1/descriptors/${id}`);
  }

  changeDescriptor(id: number, change: DescriptorChange): Promise<DescriptorResource> {
    return this.#json('PATCH', `/v1/descriptors/${id}`, { body: change });
  }

  /** Closes a descriptor; resolves with its last counters. */
  detach(id: number): Promise<DescriptorResource> {
    return this.#json('DELETE', `/v1/descriptors/${id}`);
  }

  flush(id: number): Promise<DescriptorResource> {
    return this.#json('POST', `/v1/descriptors/${id}/flush`);
  }

  /** Locks a descriptor for good: its settings can no longer be changed. */
  lock(id: number): Promise<DescriptorResource> {
    return this.#json('POST', `/v1/descriptors/${id}/lock`);
  }

  /**
   * What a descriptor has captured, taken out of it: waits for something at most `waitMs`, then gives up with
   * undefined. Throws ControlError 410 when nothing comes any more.
   */
  read(id: number, waitMs = 0, format: CaptureFormat = 'bpf'): Promise<Buffer | undefined> {
    return this.#within(async (signal) => {
      const path = `/v1/descriptors/${id}/read?timeout=${waitMs}&format=${format}`;
      const answer = await this.#open('GET', path, {}, signal);
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      return answer.statusCode === 204 ? undefined : Buffer.concat(chunks);
    }, waitMs);
  }

  /** Sends frames to the node of the descriptor's interface; resolves with how many were sent. */
  async writeFrames(id: number, frames: readonly Uint8Array[]): Promise<number> {
    const body = { frames: frames.map((frame) => Buffer.from(frame).toString('base64')) };
    return (await this.#json<{ written: number }>('POST', `/v1/descriptors/${id}/frames`, { body })).written;
  }

  /** What the descriptor captures, live. Destroy it to stop reading; it ends when the descriptor is closed. */
  async stream(id: number, format: CaptureFormat): Promise<IncomingMessage> {
    // A connection of its own: it stays in use as long as the stream does.
    return this.#within((signal) =>
      this.#open('GET', `/v1/descriptors/${id}/stream?format=${format}`, {}, signal, false),
    );
  }

  /** What several descriptors capture, live and in the order of time. It ends when all of them are closed. */
  async mergedStream(ids: readonly number[], format: MergedFormat): Promise<IncomingMessage> {
    const path = `/v1/stream?descriptors=${ids.join(',')}&format=${format}`;
    return this.#within((signal) => this.#open('GET', path, {}, signal, false));
  }

  async links(): Promise<LinkStatus[]> {
    return (await this.#json<{ links: LinkStatus[] }>('GET', '/v1/links')).links;
  }

  link(name: string): Promise<LinkStatus> {
    return this.#json('GET', `/v1/links/${encodeURIComponent(name)}`);
  }

  changeLink(name: string, change: OneLinkChangeRequest): Promise<LinkChanged> {
    return this.#json('PATCH', `/v1/links/${encodeURIComponent(name)}`, { body: change });
  }

  /** Changes several links at one moment, all or none. */
  async changeLinks(links: Readonly<Record<string, LinkChangeRequest>>): Promise<LinkChanged[]> {
    const answer = await this.#json<{ links: LinkChanged[] }>('PATCH', '/v1/links', { body: { links } });
    return answer.links;
  }

  async workers(): Promise<WorkerStatus[]> {
    return (await this.#json<{ workers: WorkerStatus[] }>('GET', '/v1/workers')).workers;
  }

  async switches(): Promise<SwitchStatus[]> {
    return (await this.#json<{ switches: SwitchStatus[] }>('GET', '/v1/switches')).switches;
  }

  switch(name: string): Promise<SwitchStatus> {
    return this.#json('GET', `/v1/switches/${encodeURIComponent(name)}`);
  }

  /** What a switch has learned. */
  async switchAddresses(name: string): Promise<AddressStatus[]> {
    const path = `/v1/switches/${encodeURIComponent(name)}/addresses`;
    return (await this.#json<{ addresses: AddressStatus[] }>('GET', path)).addresses;
  }

  lab(): Promise<LabResource> {
    return this.#json('GET', '/v1/lab');
  }

  /** What a node is to be, as the lab file says. */
  node(name: string): Promise<NodeResource> {
    return this.#json('GET', `/v1/nodes/${encodeURIComponent(name)}`);
  }

  /** Has the lab file read again; resolves with what was changed, a line each. */
  async reload(): Promise<string[]> {
    return (await this.#json<{ changes: string[] }>('POST', '/v1/lab/reload')).changes;
  }

  /** Asks for the lab to be taken down; resolves with the process id that is ending. */
  async shutDown(): Promise<number> {
    return (await this.#json<{ pid: number }>('DELETE', '/v1/lab')).pid;
  }

  /** The metrics in the text format of Prometheus. */
  async metrics(): Promise<string> {
    return this.#within(async (signal) => this.#text(await this.#open('GET', '/metrics', {}, signal)));
  }

  /** Gives idle connections back. The client can still be used. */
  close(): void {
    this.#agent.destroy();
  }

  async #json<Body>(method: string, path: string, send: Send = {}): Promise<Body> {
    return this.#within(async (signal) => {
      const answer = await this.#open(method, path, send, signal);
      return JSON.parse(await this.#text(answer)) as Body;
    });
  }

  /** Does something that the signal ends when it takes too long. */
  async #within<Result>(action: (signal: AbortSignal) => Promise<Result>, waitMs = 0): Promise<Result> {
    const tooLong = new AbortController();
    const timeoutMs = Math.min(Math.max(1, this.timeoutMs + waitMs), MAX_TIMER_MS);
    const timer = setTimeout(() => tooLong.abort(), timeoutMs);
    try {
      return await action(tooLong.signal);
    } catch (error) {
      throw tooLong.signal.aborted ? new ConnectionError(this.socketPath, 'ETIMEDOUT') : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a request; resolves with the answer once its head has arrived, and throws the problem it may hold. */
  async #open(
    method: string,
    path: string,
    { body }: Send,
    signal: AbortSignal,
    share = true,
  ): Promise<IncomingMessage> {
    // Node's agent, out of sockets, has nobody listen when connect(2) fails at once.
    if (isTooLong(this.socketPath)) throw new ConnectionError(this.socketPath, 'EINVAL');
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const agent = share ? this.#agent : false;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ socketPath: this.socketPath, method, path, headers, agent, signal }, resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => {
        reject(new ConnectionError(this.socketPath, error.code ?? error.message));
      });
      sent.end(payload);
    });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw new ControlError(readProblem(status, answer, await this.#text(answer)));
  }

  async #text(answer: IncomingMessage): Promise<string> {
    try {
      answer.setEncoding('utf8');
      let text = '';
      for await (const chunk of answer) text += chunk;
      return text;
    } catch (error) {
      throw new ConnectionError(this.socketPath, (error as NodeJS.ErrnoException).code ?? String(error));
    }
  }
}

function readProblem(status: number, answer: IncomingMessage, text: string): Problem {
  if (answer.headers['content-type']?.startsWith(PROBLEM_MEDIA_TYPE)) return JSON.parse(text) as Problem;
  return problem(status, `the socket answered ${status}, and not as taplab does; is it another program's?`);
}
