/**
 * Shell completions, made from the program itself: every command, option and choice, nothing twice. What a shell gets
 * is a table of words by the commands typed before, and a few lines that look up in it.
 */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

type Word = { readonly word: string; readonly about: string };
type Entry = {
  /** The commands typed before, from the program's name: `taplab filter`. */
  readonly path: string;
  readonly words: readonly Word[];
  /** Words for the value of an option that has choices. */
  readonly choices: ReadonlyMap<string, readonly string[]>;
};

/** The script that a shell is to load. */
export function completionScript(program: Command, shell: Shell): string {
  const entries = entriesOf(program, program.name(), program.options);
  const make = { bash, zsh, fish }[shell];
  return make(program.name(), entries);
}

function entriesOf(command: Command, path: string, inherited: readonly Option[]): Entry[] {
  const options = [...command.options, ...inherited.filter((option) => !command.options.includes(option))];
  const words = [
    ...command.commands.map((each) => ({ word: each.name(), about: each.summary() })),
    ...options.flatMap((option) =>
      [option.long, option.short].flatMap((word) => (word ? [{ word, about: option.description }] : [])),
    ),
    { word: '--help', about: 'show help' },
  ];
  const choices = new Map(
    options.flatMap(({ long, argChoices }) => (long && argChoices ? [[long, argChoices] as const] : [])),
  );
  const below = command.commands.flatMap((each) => entriesOf(each, `${path} ${each.name()}`, inherited));
  return [{ path, words, choices }, ...below];
}

/** A word in single quotes, for all three shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The commands among the words typed so far, as the table names them; the same few lines in bash and zsh. */
const PATH_LOOP = `  for ((i = first; i < cword; i++)); do
    case " $known " in *" \${words[i]} "*) path="$path \${words[i]}" ;; esac
  done`;

function cases(entries: readonly Entry[], words: (entry: Entry) => string): string {
  const values = entries.flatMap(({ path, choices }) =>
    [...choices].map(
      ([option, list]) =>
        `    ${quote(`${path} ${option}`)}) list=(${list.map(quote).join(' ')}); return 0 ;;`,
    ),
  );
  const lists = entries.map((entry) => `    ${quote(`${entry.path}`)}) list=(${words(entry)}) ;;`);
  return `  case "$path $prev" in
${values.join('\n')}
  esac
  case "$path" in
${lists.join('\n')}
  esac`;
}

function knownCommands(entries: readonly Entry[]): string {
  return quote([...new Set(entries.map(({ path }) => path.split(' ').at(-1)!))].slice(1).join(' '));
}

function bash(name: string, entries: readonly Entry[]): string {
  return `# bash completion for ${name}: eval "$(${name} completion bash)"
_${name}_list() {
  local path=${quote(name)} known=${knownCommands(entries)} i first=1
${PATH_LOOP}
${cases(entries, ({ words }) => words.map(({ word }) => quote(word)).join(' '))}
}
_${name}() {
  local words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD prev="\${COMP_WORDS[COMP_CWORD-1]}" list=()
  _${name}_list
  COMPREPLY=($(compgen -W "\${list[*]}" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`;
}

function zsh(name: string, entries: readonly Entry[]): string {
  const describe = ({ words }: Entry): string =>
    words.map(({ word, about }) => quote(`${word}:${about.replaceAll(':', '\\:')}`)).join(' ');
  return `#compdef ${name}
# zsh completion for ${name}: eval "$(${name} completion zsh)"
_${name}_list() {
  local path_=${quote(name)} known=${knownCommands(entries)} i first=2
${PATH_LOOP.replaceAll('$path', '$path_').replaceAll('path=', 'path_=').replace('cword', 'CURRENT')}
${cases(entries, describe).replaceAll('$path', '$path_')}
}
_${name}() {
  local prev="\${words[CURRENT-1]}"
  local -a list
  _${name}_list
  _describe ${quote(name)} list || _files
}
compdef _${name} ${name}
`;
}

function fish(name: string, entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, words, choices }) => {
    const [, ...commands] = path.split(' ');
    const seen = commands.map((each) => `__fish_seen_subcommand_from ${each}`);
    const condition = quote(seen.length > 0 ? seen.join('; and ') : '__fish_use_subcommand');
    return words.map(({ word, about }) => {
      const list = choices.get(word);
      const values = list === undefined ? '' : ` -x -a ${quote(list.join(' '))}`;
      const what = word.startsWith('--')
        ? `-l ${word.slice(2)}`
        : word.startsWith('-')
          ? `-s ${word.slice(1)}`
          : `-a ${word}`;
      return `complete -c ${name} -n ${condition} ${what}${values} -d ${quote(about)}`;
    });
  });
  return `# fish completion for ${name}: ${name} completion fish | source\n${lines.join('\n')}\n`;
}
