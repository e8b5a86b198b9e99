/** `taplab replay`: runs a lab over captures, on a virtual clock. */
import { Command, InvalidArgumentError } from 'commander';
import { linkTypeOf } from '../../device/link-type.ts';
import type { Lab, LabInterface } from '../../lab/model.ts';
import { ReplayError, ReplayInput } from '../../replay/replay-input.ts';
import { didYouMean } from '../../text/suggest.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { Progress } from '../filter/progress.ts';
import { count, plural } from '../format.ts';
import { readLabFile } from '../lab-file.ts';

type Assignment = { readonly interfaceName: string; readonly file: string };

type Options = {
  readonly in: readonly Assignment[];
  readonly out: string;
  readonly record?: string;
  readonly json?: true;
};

export function replayCommand(context: Context): Command {
  return new Command('replay')
    .summary('run a lab over captures')
    .description(
      'Runs a lab over pcap and pcapng files on a virtual clock: their frames enter at the interfaces named, at the intervals they were captured, and what leaves the lab at each interface is written to DIR/NODE.INTERFACE.pcap. The same lab, seed and inputs give the same bytes in every run, on any machine. Needs no privilege; the lab need not be up.',
    )
    .argument('<lab.yaml>', 'lab file; every device of it is replaced by memory')
    .requiredOption<readonly Assignment[]>(
      '--in <node:if=file>',
      'capture whose frames enter at an interface, as if its node sent them; may be given for several',
      assignment,
    )
    .requiredOption('--out <dir>', 'folder for what leaves the lab; made when it is not there')
    .option('--record <file>', 'write what the links decided for every frame, as JSON, a line each')
    .addOption(jsonOption('print a summary with the SHA-256 of every file as JSON'))
    .addHelpText(
      'after',
      `
Stamps are in the time of the inputs: the lab's time begins with their first frame. docs/replay.md describes the files.

Examples:
  $ taplab replay wan.yaml --in client:eth0=client.pcapng --out replayed
  $ taplab replay wan.yaml --in client:eth0=c.pcap --in server:eth0=s.pcap --out replayed --record decisions.jsonl
  $ jq -c 'select(.event == "dropped")' decisions.jsonl`,
    )
    .action((labFile: string, options: Options) => run(context, labFile, options));
}

function assignment(text: string, before: readonly Assignment[] = []): readonly Assignment[] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) {
    throw new InvalidArgumentError('Expected NODE:INTERFACE=FILE, as client:eth0=client.pcap.');
  }
  const interfaceName = text.slice(0, at);
  if (before.some((each) => each.interfaceName === interfaceName)) {
    throw new InvalidArgumentError(
      `There is an input for ${interfaceName} already; merge the captures first.`,
    );
  }
  return [...before, { interfaceName, file: text.slice(at + 1) }];
}

async function run({ terminal }: Context, labFile: string, options: Options): Promise<void> {
  const { asVirtualLab } = await import('../../lab/parse.ts');
  const { replay } = await import('../../replay/replay.ts');
  const lab = asVirtualLab(await readLabFile(labFile));
  const startMs = performance.now();
  const inputs: ReplayInput[] = [];
  try {
    for (const each of options.in) {
      const linkType = linkTypeOf(requireInterface(lab, each.interfaceName));
      inputs.push(new ReplayInput(each.interfaceName, linkType, each.file));
    }
    const totalBytes = inputs.reduce((sum, each) => sum + each.totalBytes, 0);
    const progress = new Progress(terminal, lab.name, totalBytes, true);
    const onProgress = (): void => {
      const readBytes = inputs.reduce((sum, each) => sum + each.readBytes, 0);
      progress.update(readBytes, () => plural(framesOf(inputs), 'frame'));
    };
    const result = await replay({
      lab,
      inputs,
      out: options.out,
      record: options.record,
      onProgress,
    }).finally(() => progress.clear());
    const elapsedMs = Math.round((performance.now() - startMs) * 10) / 10;
    if (options.json) {
      const { name, seed } = lab;
      const { record = null, links, ...rest } = result;
      const read = inputs.map(({ interfaceName, file, frames, cutShort, backwards }) => {
        return { interface: interfaceName, file, frames, cutShort, backwards };
      });
      terminal.printJson({ lab: name, seed, inputs: read, ...rest, record, links, elapsedMs });
      return;
    }
    for (const { interfaceName, frames, cutShort, backwards } of inputs) {
      const notes = [
        ...(cutShort > 0 ? [`${count(cutShort)} captured only in part`] : []),
        ...(backwards > 0 ? [`${count(backwards)} stamped earlier than the one before`] : []),
      ];
      terminal.say([`${interfaceName}: ${plural(frames, 'frame')} entered`, ...notes].join(', '));
    }
    for (const { file, frames } of result.outputs) terminal.say(`${file}: ${plural(frames, 'frame')} left`);
    if (result.record) terminal.say(`${result.record.file}: ${plural(result.record.decisions, 'decision')}`);
  } finally {
    for (const each of inputs) each.close();
  }
}

function framesOf(inputs: readonly ReplayInput[]): number {
  return inputs.reduce((sum, each) => sum + each.frames, 0);
}

/** @throws ReplayError */
function requireInterface(lab: Lab, name: string): LabInterface {
  const all = lab.nodes.flatMap(({ interfaces }) => interfaces);
  const found = all.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = all.map((each) => each.name);
  const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
  throw new ReplayError(`lab ${lab.name} has no interface ${name}${hint}`);
}
