/**
 * What survives the end of the process, for `taplab up --resume`: what links were set to by hand, and the descriptors
 * that were attached over the control socket. The lab itself is what its file says; resume-link.ts has which holds
 * where both say something of a link.
 *
 * DIRECTORY/LAB.resume, replaced as a whole after each change, before the change is answered; there is none as long as
 * everything is as the lab file says. Writer: the process that has claimed the lab. It stays when the process is
 * killed, fails or gets SIGTERM, and goes with `taplab down` and Ctrl-C. A run without --resume begins a new one.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { Program } from '../../vm/index.ts';
import type { Descriptor } from '../bpf/descriptor.ts';
import { resolveFilter } from '../control/filter.ts';
import { DirectionNameSchema, LinkSettingsSchema } from '../control/schemas/resources.ts';
import { ensureStateDirectory, StateError } from '../lab/state.ts';
import type { LinkSettings } from '../link/settings.ts';
import { CONTROL_OWNER, type DescriptorHandle } from './contract.ts';
import type { Emulator } from './emulator.ts';
import type { RunLog } from './lab-run.ts';
import { SIDES } from './links.ts';
import { resumeDirection } from './resume-link.ts';

/** As they were: the schema of what is shown leaves out what is in traces and schedules. */
const settingsSchema = z.custom<LinkSettings>((value) => LinkSettingsSchema.safeParse(value).success);
const directionSchema = z.object({ settings: settingsSchema, file: settingsSchema });

const savedSchema = z.object({
  links: z.record(z.string(), z.object({ forward: directionSchema, reverse: directionSchema })),
  descriptors: z.array(
    z.object({
      interface: z.string(),
      filter: z.string(),
      dialect: z.enum(['bsd', 'linux']),
      instructions: z.array(z.object({ code: z.number(), jt: z.number(), jf: z.number(), k: z.number() })),
      writeFilter: z.string().nullable(),
      linkType: z.number(),
      direction: DirectionNameSchema,
      immediate: z.boolean(),
      readTimeoutMs: z.number(),
      bufferBytes: z.number(),
      promiscuous: z.boolean(),
      headerComplete: z.boolean(),
      feedback: z.boolean(),
      locked: z.boolean(),
      owner: z.object({ uid: z.number(), gid: z.number(), pid: z.number() }),
    }),
  ),
});

type Saved = z.infer<typeof savedSchema>;

export class ResumeFile {
  readonly #path: string;
  readonly #emulator: Emulator;
  readonly #log: RunLog;

  constructor(emulator: Emulator, log: RunLog, directory: string = ensureStateDirectory()) {
    this.#path = join(directory, `${emulator.lab.name}.resume`);
    this.#emulator = emulator;
    this.#log = log;
  }

  /** Writes down what is not as the lab file says, if anything. A disk that is full is reported, and stops nobody. */
  save(isEphemeral: (descriptor: DescriptorHandle) => boolean = () => false): void {
    const links = this.#emulator.lab.links.flatMap((file): [string, Saved['links'][string]][] => {
      const now = this.#emulator.link(file.name);
      if (now === undefined) return [];
      if (SIDES.every((side) => isDeepStrictEqual(now[side].settings, file[side]))) return [];
      const forward = { settings: now.forward.settings, file: file.forward };
      const reverse = { settings: now.reverse.settings, file: file.reverse };
      return [[file.name, { forward, reverse }]];
    });
    // Those of the lab file come from there.
    const descriptors = this.#emulator
      .descriptors()
      .filter((each) => each.owner !== CONTROL_OWNER && !isEphemeral(each))
      .map(saved);
    if (links.length === 0 && descriptors.length === 0) {
      this.remove();
      return;
    }
    const temporary = `${this.#path}.tmp`;
    try {
      writeFileSync(temporary, JSON.stringify({ links: Object.fromEntries(links), descriptors }), {
        mode: 0o600,
      });
      renameSync(temporary, this.#path);
    } catch (error) {
      rmSync(temporary, { force: true });
      this.#log.error({ err: error }, 'what is to be resumed could not be saved');
    }
  }

  /** Leaves nothing to be resumed. */
  remove(): void {
    rmSync(this.#path, { force: true });
  }

  /**
   * Makes so what was so when it was last saved; nothing when there is nothing saved. What does not fit the lab any
   * more is reported and left out. Returns where links differ from the lab file, or from what they were, a line each.
   * Throws StateError when the file is damaged.
   */
  async restore(): Promise<string[]> {
    const before = this.#read();
    if (before === undefined) return [];
    const differences: string[] = [];
    for (const [name, saved] of Object.entries(before.links)) {
      await this.#try(`link ${name}`, async () => differences.push(...(await this.#resume(name, saved))));
    }
    for (const each of before.descriptors) {
      await this.#try(`a descriptor on ${each.interface}`, () => this.#attach(each));
    }
    for (const difference of differences) this.#log.info({}, difference);
    return differences;
  }

  async #resume(name: string, saved: Saved['links'][string]): Promise<string[]> {
    const file = this.#emulator.lab.links.find((link) => link.name === name);
    if (file === undefined) throw new StateError(`the lab file has no link ${name} any more`);
    const forward = resumeDirection(saved.forward, file.forward);
    const reverse = resumeDirection(saved.reverse, file.reverse);
    await this.#emulator.setLink(name, { forward: forward.settings, reverse: reverse.settings });
    return [
      ...forward.differences.map((each) => `link ${name}, forward: ${each}`),
      ...reverse.differences.map((each) => `link ${name}, reverse: ${each}`),
    ];
  }

  async #attach(descriptor: Saved['descriptors'][number]): Promise<void> {
    const { interface: name, instructions, dialect, writeFilter, locked, ...options } = descriptor;
    const handle = await this.#emulator.attach(name, {
      ...options,
      program: Program.from(instructions, { dialect }),
      ...(writeFilter === null ? {} : { writeFilter: namedFilter(writeFilter, options.linkType) }),
    });
    if (locked) handle.lock();
  }

  async #try(what: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#log.warn({ reason: (error as Error).message }, `${what} was not resumed`);
    }
  }

  #read(): Saved | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw new StateError(`read ${this.#path}: ${code}`, error);
    }
    try {
      return savedSchema.parse(JSON.parse(text));
    } catch (error) {
      throw new StateError(`${this.#path} is damaged; remove it, or start without --resume`, error);
    }
  }
}

function namedFilter(filter: string, linkType: number): { filter: string; program: Program } {
  return { filter, program: resolveFilter(filter, linkType).program };
}

function saved(descriptor: Descriptor): Saved['descriptors'][number] {
  const { program } = descriptor.filter;
  return {
    ...descriptor.status(),
    dialect: program.dialect,
    instructions: program.instructions.map(({ code, jt, jf, k }) => ({ code, jt, jf, k })),
  };
}
