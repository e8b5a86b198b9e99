/** The words `schedule` and `markov`. */
import type { ChainSettings } from '../settings.ts';
import { formatPercent, formatTime, parsePercent, parseTime, UnitError } from '../units.ts';
import { type Arguments, quote, UNREAD, type Word } from '../words.ts';
import { leaving, MAX_STATES, type Markov, type MarkovState } from './markov.ts';
import { parseSchedule, type Schedule } from './schedule.ts';

export type OverTimeSettings = {
  /** Delay, rate and loss from a file, laid over the settings. */
  readonly schedule: Schedule | null;
  /** States with settings of their own, laid over these. */
  readonly markov: Markov | null;
};

export const CONSTANT: OverTimeSettings = { schedule: null, markov: null };

const DEFAULT_STEP_NS = 1e7;
const MIN_STEP_NS = 1e6;

export const OVER_TIME_WORDS: readonly Word<OverTimeSettings>[] = [
  {
    name: 'schedule',
    syntax: 'FILE [hold | linear [STEP]] [loop] | none',
    help: 'A CSV file with columns time and any of delay, rate, loss; linear goes from line to line in steps (10ms).',
    read: (args) => (args.take('none') === undefined ? { schedule: readSchedule(args) } : { schedule: null }),
    write: ({ schedule }) => {
      if (schedule === null) return undefined;
      const { name, stepNs, loop } = schedule;
      return `${quote(name)}${stepNs > 0 ? ` linear ${formatTime(stepNs)}` : ''}${loop ? ' loop' : ''}`;
    },
  },
  {
    name: 'markov',
    syntax: 'STEP state NAME "IMPAIRMENT" [to NAME P]... ... | none',
    help: 'States with impairments of their own, and the probabilities of going to another at each step, as wirefilter has it.',
    read: (args) => (args.take('none') === undefined ? { markov: readMarkov(args) } : { markov: null }),
    write: ({ markov }) => (markov === null ? undefined : formatMarkov(markov)),
  },
];

function readSchedule(args: Arguments): Schedule {
  const { readText } = args;
  const path = args.value(identity, 'the path of a CSV file');
  const isLinear = args.take('hold', 'linear') === 'linear';
  const stepNs = isLinear ? (args.optional(parseStep, 'schedule: step') ?? DEFAULT_STEP_NS) : 0;
  const loop = args.take('loop') !== undefined;
  if (readText === undefined)
    args.refuse(`schedule "${path.slice(0, 200)}": schedules are read from lab files only`);
  if (readText === UNREAD) return { name: path, entries: 0, stepNs, loop };
  try {
    return parseSchedule(readText(path), path, stepNs, loop);
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    args.refuse(`schedule ${error.message}`);
  }
}

function readMarkov(args: Arguments): Markov {
  const stepNs = args.value(parseStep, 'a time step such as 100ms');
  const states: MarkovState[] = [];
  while (args.take('state') !== undefined) {
    const name = args.value(parseName, 'the name of a state', 'markov: state');
    let impair: Partial<ChainSettings> = {};
    const impairment = args.value(
      (text) => {
        impair = args.nested(text);
        return text;
      },
      'its impairment in double quotes, such as "loss 10%"',
      `markov: state ${name}`,
    );
    const to: { state: string; probability: number }[] = [];
    while (args.take('to') !== undefined) {
      const state = args.value(parseName, 'the name of a state', 'markov: to');
      to.push({
        state,
        probability: args.value(parsePercent, 'a percentage such as 5%', `markov: to ${state}`),
      });
    }
    states.push({ name, impairment, impair, to });
  }
  const problem = markovProblem(states);
  if (problem !== undefined) args.refuse(`markov: ${problem}`);
  return { stepNs, states };
}

function markovProblem(states: readonly MarkovState[]): string | undefined {
  const names = states.map(({ name }) => name);
  if (states.length === 0) return 'expected state NAME "IMPAIRMENT" after the step';
  if (states.length > MAX_STATES) return `${states.length} states, at most ${MAX_STATES}`;
  for (const [i, state] of states.entries()) {
    if (names.indexOf(state.name) < i) return `state ${state.name} is given twice`;
    const unknown = state.to.find((each) => !names.includes(each.state));
    if (unknown !== undefined) return `there is no state ${unknown.state}; there are ${names.join(', ')}`;
    if (state.to.some((each) => each.state === state.name)) {
      return `state ${state.name} goes to itself; what is left of 100% is to stay`;
    }
    if (leaving(state) > 1 + 1e-9) return `state ${state.name} leaves with more than 100% together`;
  }
  return undefined;
}

function formatMarkov({ stepNs, states }: Markov): string {
  return [
    formatTime(stepNs),
    ...states.flatMap(({ name, impairment, to }) => [
      `state ${name} "${impairment}"`,
      ...to.map(({ state, probability }) => `to ${state} ${formatPercent(probability)}`),
    ]),
  ].join(' ');
}

function identity(text: string): string {
  return text;
}

function parseName(text: string): string {
  if (/^[\w-]{1,32}$/.test(text)) return text;
  throw new UnitError(`"${text.slice(0, 40)}": expected a name of letters, digits, "_" and "-"`);
}

function parseStep(text: string): number {
  const value = parseTime(text);
  if (value < MIN_STEP_NS) throw new UnitError(`"${text}": too small, at least 1ms`);
  return value;
}
