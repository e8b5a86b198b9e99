/**
 * Man pages (man(7)), made from the program itself: taplab.1, and one for each command. man/ holds them; a test checks
 * that they are up to date, and `UPDATE_MAN=1 npx vitest run test/cli/man.test.ts` writes them.
 */
import type { Argument, Command, Option } from 'commander';

/** All pages by file name, for man/. */
export function manPages(program: Command): Map<string, string> {
  const pages = new Map<string, string>();
  const add = (command: Command, name: string): void => {
    pages.set(`${name.replaceAll(' ', '-')}.1`, page(command, name, program));
    for (const each of command.commands) add(each, `${name} ${each.name()}`);
  };
  add(program, program.name());
  return pages;
}

function page(command: Command, name: string, program: Command): string {
  const title = name.replaceAll(' ', '-');
  const help = command.createHelp();
  const options = [...command.options, ...(command === program ? [] : program.options)];
  return [
    `.TH ${title.toUpperCase()} 1 "" "taplab ${program.version()}" "taplab"`,
    '.SH NAME',
    `${text(title)} \\- ${text(command.summary() || command.description())}`,
    '.SH SYNOPSIS',
    `.B ${text(name)}`,
    text(command.usage()),
    '.SH DESCRIPTION',
    text(command.description()),
    ...section('ARGUMENTS', command.registeredArguments, (each: Argument) => [each.name(), each.description]),
    ...section('COMMANDS', command.commands, (each) => [`${title}-${each.name()}(1)`, each.summary()]),
    ...section('OPTIONS', options, (each: Option) => [each.flags, help.optionDescription(each)]),
    ...examples(command),
    '.SH EXIT STATUS',
    '0 when it did what was asked, 2 when the arguments make no sense, 1 otherwise.',
    ...(command === program
      ? []
      : ['.SH SEE ALSO', `.BR ${text(title.split('-').slice(0, -1).join('-') || 'taplab')} (1)`]),
    '',
  ].join('\n');
}

function section<T>(
  title: string,
  list: readonly T[],
  line: (each: T) => readonly [string, string],
): string[] {
  if (list.length === 0) return [];
  const entries = list.flatMap((each) => {
    const [term, about] = line(each);
    return ['.TP', `.B ${text(term)}`, text(about)];
  });
  return [`.SH ${title}`, ...entries];
}

/** What `--help` shows below the options, as it is. */
function examples(command: Command): string[] {
  let after = '';
  command.configureOutput({
    ...command.configureOutput(),
    writeOut: (chunk) => {
      after += chunk;
    },
  });
  const before = command.helpInformation();
  command.outputHelp();
  const rest = after.slice(before.length).trim();
  if (rest === '') return [];
  return ['.SH NOTES', '.nf', ...rest.split('\n').map(text), '.fi'];
}

/** Text as roff takes it: no line is a request, no character an escape. */
function text(plain: string): string {
  const escaped = plain.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
