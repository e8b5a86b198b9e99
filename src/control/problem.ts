/** Problem documents (RFC 9457): what the control socket answers when it does not do what was asked. */
import { STATUS_CODES } from 'node:http';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** One thing wrong with a request: `pointer` (RFC 6901, as a URI fragment) into the body, or the name of a `parameter`. */
export type ProblemItem = {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
};

/** A problem document. Members beyond the standard ones say the same as `detail` in a form a program can read. */
export type Problem = {
  /** What kind of problem it is; `about:blank` when the status says it all. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What was wrong here, and what to do about it. */
  readonly detail: string;
  readonly errors?: readonly ProblemItem[];
  /** errno of the bpf(4) call that failed. */
  readonly code?: string;
  /** Of an invalid program: the index of the instruction, and the rule it breaks. */
  readonly pc?: number;
  readonly reason?: string;
  /** Of a filter expression: the offset of the character where it went wrong. */
  readonly position?: number;
  /** Of program text. */
  readonly line?: number;
  readonly column?: number;
};

/** An error that already knows the problem document it becomes. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(status: number, detail: string, extensions: Partial<Problem> = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.problem = problem(status, detail, extensions);
  }
}

/** A problem document; type and title follow from the status unless given. */
export function problem(status: number, detail: string, extensions: Partial<Problem> = {}): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, ...extensions };
}

/** The `type` of a problem that its status does not say enough about. */
export function problemType(name: string): string {
  return `urn:taplab:problem:${name}`;
}
