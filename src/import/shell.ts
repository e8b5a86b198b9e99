/**
 * Shell scripts as far as start-up files need them: statements with their words, quotes removed, each with its line.
 * Nothing is expanded or run. What depends on anything (a condition, a loop, a pipe, a variable) says so, because a
 * lab file cannot.
 */

export type Statement = {
  readonly words: readonly string[];
  /** As it stands in the file. */
  readonly text: string;
  readonly line: number;
  /** Why it cannot be said without running the script, if so. */
  readonly depends?: string;
};

const OPENS = /^(?:if|for|while|until|case|select|function|\{|\()$/;
const CLOSES = /^(?:fi|done|esac|\}|\))$/;
const BRANCHES = /^(?:then|else|elif|do)$/;
const TO_NOWHERE = /^\d*>>?(?:\/dev\/null|&\d)$/;

/** The statements of a script, in order. Comments and empty lines are none. */
export function statements(script: string): Statement[] {
  const found: Statement[] = [];
  let depth = 0;
  for (const { text, line } of logicalLines(script)) {
    const parts = split(text);
    for (const [i, part] of parts.entries()) {
      if (part.words.length === 0) continue;
      const first = part.words[0]!;
      if (CLOSES.test(first)) depth = Math.max(0, depth - 1);
      const depends = dependence(part, parts[i - 1]?.end ?? '', depth > 0 || OPENS.test(first));
      // `then` and `fi` by themselves say nothing that `if` did not.
      const isBare = part.words.length === 1 && (BRANCHES.test(first) || CLOSES.test(first));
      if (!isBare)
        found.push({
          words: part.words,
          text: part.text,
          line,
          ...(depends === undefined ? {} : { depends }),
        });
      if (OPENS.test(first)) depth++;
    }
  }
  return found;
}

function dependence(part: Part, before: string, isInside: boolean): string | undefined {
  if (isInside || BRANCHES.test(part.words[0]!) || CLOSES.test(part.words[0]!)) {
    return 'it is part of a condition, loop or function; a lab file has none';
  }
  if (before === '|' || part.end === '|') return 'it is part of a pipe; nothing is run';
  if (before === '||' && !/^(?:true|:)$/.test(part.words[0]!))
    return 'it is for the case that a command fails';
  if (part.words.some((word) => /[$`]/.test(word))) return 'variables and substitutions are not expanded';
  return undefined;
}

/** Lines with those that end in a backslash joined to the next; `line` is the first. */
function logicalLines(script: string): { text: string; line: number }[] {
  const result: { text: string; line: number }[] = [];
  let open = false;
  for (const [i, raw] of script.split(/\r\n|[\r\n]/).entries()) {
    const continues = /(?:^|[^\\])\\$/.test(raw);
    const text = continues ? raw.slice(0, -1) : raw;
    const last = result.at(-1);
    if (open && last !== undefined) last.text += ` ${text}`;
    else result.push({ text, line: i + 1 });
    open = continues;
  }
  return result;
}

type Part = { words: string[]; text: string; end: string };

/** A word: quoted pieces and others without a space; an operator; a comment. */
const TOKEN = /(\s+)|(&&|\|\||[;|]|&(?![\d>]))|((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|>&|[^\s"'\\;|&]|["'])+|&)/gy;

function split(line: string): Part[] {
  const parts: Part[] = [];
  let current: Part = { words: [], text: '', end: '' };
  for (const match of line.matchAll(TOKEN)) {
    const [token, space, operator] = match;
    if (operator !== undefined) {
      parts.push({ ...current, end: operator });
      current = { words: [], text: '', end: '' };
      continue;
    }
    if (space === undefined && token.startsWith('#')) break;
    current.text += token;
    if (space === undefined) current.words.push(unquote(token));
  }
  parts.push(current);
  return parts.map((part) => ({ ...part, text: part.text.trim(), words: withoutNowhere(part.words) }));
}

function unquote(token: string): string {
  return token.replace(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
    (_, double?: string, single?: string, one?: string) =>
      double !== undefined ? double.replace(/\\(["\\$`])/g, '$1') : (single ?? one ?? ''),
  );
}

/** Without `> /dev/null` and `2>&1`, which change nothing. */
function withoutNowhere(words: readonly string[]): string[] {
  return words.filter((word, i) => {
    const isTarget = word === '/dev/null' && /^\d*>>?$/.test(words[i - 1] ?? '');
    const leadsThere = /^\d*>>?$/.test(word) && words[i + 1] === '/dev/null';
    return !(isTarget || leadsThere || TO_NOWHERE.test(word));
  });
}
