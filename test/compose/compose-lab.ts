/**
 * docker/compose.yaml, brought up under a project name of its own, on ports that are free. Give `down()` to the
 * tests' clean-up.
 */
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { ControlClient } from '../../src/control/client.ts';
import { eventually } from '../helpers/real.ts';
import { composeCommand, type Result, type RunOptions, run, runForBytes } from './engine.ts';

export const NODES = ['client', 'router', 'server'] as const;

/** What the nodes bring. A switch's interfaces, of which a test's lab may have some, are up before any node has joined. */
const NODE_INTERFACES = ['client:eth0', 'router:eth0', 'router:eth1', 'server:eth0'];

export type Service = 'emulator' | 'prometheus' | (typeof NODES)[number];
type ExecOptions = RunOptions & { readonly user?: string };

/** How long containers may take to start where little time is left for them. */
const START_MS = 60_000;

let labs = 0;

export class ComposeLab {
  readonly project: string = `taplabtest${process.pid}x${++labs}`;
  readonly metricsUrl: string;
  readonly prometheusUrl: string;
  readonly #compose: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #socketPath = '';
  #client: ControlClient | undefined;

  /** @param overrides compose files that change the lab's */
  constructor(image: string, ports: readonly [number, number], overrides: readonly string[]) {
    const files = ['docker/compose.yaml', ...overrides].flatMap((file) => ['-f', file]);
    this.#compose = [...composeCommand()!, '-p', this.project, ...files];
    const [metrics, prometheus] = ports;
    this.metricsUrl = `http://127.0.0.1:${metrics}/metrics`;
    this.prometheusUrl = `http://127.0.0.1:${prometheus}`;
    this.#env = {
      ...process.env,
      TAPLAB_IMAGE: image,
      TAPLAB_METRICS_PORT: String(metrics),
      TAPLAB_PROMETHEUS_PORT: String(prometheus),
    };
  }

  static async create(image: string, ...overrides: string[]): Promise<ComposeLab> {
    return new ComposeLab(image, [await freePort(), await freePort()], overrides);
  }

  /** Starts all containers, and waits until the nodes have joined. */
  async up(): Promise<void> {
    await this.compose(['up', '-d']);
    const volume = await run(['docker', 'volume', 'inspect', '-f', '{{.Mountpoint}}', `${this.project}_run`]);
    this.#socketPath = join(volume.stdout.trim(), 'control.sock');
    await this.whenJoined(START_MS);
  }

  /** The control socket, as the host sees it: a file on the volume that the containers share. */
  get socketPath(): string {
    return this.#socketPath;
  }

  get client(): ControlClient {
    this.#client ??= new ControlClient(this.#socketPath);
    return this.#client;
  }

  compose(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run([...this.#compose, ...args], { env: this.#env, ...options });
  }

  /** Runs a program in the container of a service. */
  async exec(service: Service, command: readonly string[], options: ExecOptions = {}): Promise<Result> {
    const user = options.user === undefined ? [] : ['-u', options.user];
    return run(['docker', 'exec', ...user, await this.container(service), ...command], options);
  }

  /** As exec(), for output that is no text. */
  async execForBytes(service: Service, command: readonly string[]): Promise<Buffer> {
    const { stdout } = await runForBytes(['docker', 'exec', await this.container(service), ...command]);
    return stdout;
  }

  /** Runs a program in a new container like that of a service, with the script as its input. */
  async runLike(service: Service, entrypoint: string, args: readonly string[], input = ''): Promise<Result> {
    return this.compose(['run', '-T', '--rm', '--no-deps', '--entrypoint', entrypoint, service, ...args], {
      input,
      mayFail: true,
    });
  }

  async container(service: Service): Promise<string> {
    const labels = [`project=${this.project}`, `service=${service}`, 'oneoff=False'];
    const filters = labels.flatMap((label) => ['--filter', `label=com.docker.compose.${label}`]);
    return (await run(['docker', 'ps', '-aq', ...filters])).stdout.trim();
  }

  /** A field of `docker inspect`, in the syntax of Go templates. */
  async inspect(service: Service, field: string): Promise<string> {
    return (await run(['docker', 'inspect', '-f', field, await this.container(service)])).stdout.trim();
  }

  /** SIGKILL for every process of the container, as if it had crashed: the engine starts it again. */
  async crash(service: Service): Promise<void> {
    process.kill(Number(await this.inspect(service, '{{.State.Pid}}')), 'SIGKILL');
  }

  /** Names of the interfaces that are up; none while the emulator does not answer. */
  async interfacesUp(): Promise<string[]> {
    const all = await this.client.interfaces().catch(() => []);
    return all.filter(({ up }) => up).map(({ name }) => name);
  }

  async whenJoined(timeoutMs: number): Promise<void> {
    await eventually(async () => {
      const up = await this.interfacesUp();
      return NODE_INTERFACES.every((name) => up.includes(name));
    }, timeoutMs);
  }

  /** Round trips of so many pings from client to server, ms; those that were lost are missing. */
  async ping(count: number): Promise<number[]> {
    const command = ['ping', '-n', '-i', '0.2', '-W', '2', '-c', String(count), '198.18.1.1'];
    const { stdout } = await this.exec('client', command, { mayFail: true });
    return [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
  }

  /** Removes everything, also what was only half started. */
  async down(): Promise<void> {
    this.#client?.close();
    await this.compose(['down', '--volumes', '--remove-orphans', '--timeout', '5']);
  }

  /** What there is of the project: containers, networks, volumes. */
  async leftovers(): Promise<string[]> {
    const filter = ['-q', '--filter', `label=com.docker.compose.project=${this.project}`];
    const lists = await Promise.all([
      run(['docker', 'ps', '-a', ...filter]),
      run(['docker', 'network', 'ls', ...filter]),
      run(['docker', 'volume', 'ls', ...filter]),
    ]);
    return lists.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''));
  }
}

/** A port of 127.0.0.1 that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
