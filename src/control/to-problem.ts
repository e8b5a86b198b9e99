/**
 * Turns everything that can go wrong behind the control socket into a problem document. What it does not know becomes
 * a 500 that tells the client nothing but where to look.
 */
import { FilterSyntaxError } from '../../vm/compiler/index.ts';
import { InvalidProgramError, ProgramSyntaxError } from '../../vm/index.ts';
import { BpfError, LabChangeError } from '../daemon/contract.ts';
import { FilterError } from './filter.ts';
import { type Problem, ProblemError, problem, problemType } from './problem.ts';
import { problemItems, ValidationError } from './validation.ts';

/** What fastify adds to the errors it raises itself. */
type RequestError = Error & { readonly statusCode?: number; readonly code?: string };

/**
 * The problem document for an error.
 *
 * @param gone the request names a descriptor that exists: ENXIO then means that its interface went away
 */
export function toProblem(error: unknown, gone = false): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof BpfError) return fromBpfError(error, gone);
  if (error instanceof LabChangeError) return fromLabChangeError(error);
  const filterProblem = filterErrorToProblem(error);
  if (filterProblem !== undefined) return filterProblem;
  if (error instanceof ValidationError) return fromValidation(error);
  if (error instanceof Error) {
    const { statusCode } = error as RequestError;
    if (statusCode !== undefined && statusCode < 500) return fromRequestError(error, statusCode);
  }
  return problem(500, 'The request failed inside taplab; its log says why.');
}

/** The problem document for an error of a filter or program, or undefined for any other error. */
export function filterErrorToProblem(error: unknown, pointer?: string): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const errors = pointer === undefined ? {} : { errors: [{ pointer, detail: error.message }] };
  if (error instanceof InvalidProgramError) {
    const { pc, reason } = error;
    const kind = { type: problemType('invalid-program'), title: 'Invalid BPF program' };
    return problem(400, error.message, { ...kind, pc, reason, ...errors });
  }
  if (error instanceof ProgramSyntaxError) {
    const { line, column } = error;
    const kind = { type: problemType('program-syntax'), title: 'Program text cannot be read' };
    return problem(400, error.message, { ...kind, line, column, ...errors });
  }
  if (error instanceof FilterSyntaxError) {
    const { position, message } = error;
    const kind = { type: problemType('filter-syntax'), title: 'Filter expression cannot be read' };
    return problem(400, `Filter, character ${position + 1}: ${message}`, { ...kind, position, ...errors });
  }
  if (error instanceof FilterError) {
    const kind = { type: problemType('filter'), title: 'Unusable filter' };
    return problem(400, error.message, { ...kind, ...errors });
  }
  return undefined;
}

const BPF_STATUS: Readonly<Record<BpfError['code'], number>> = {
  ENXIO: 404,
  EINVAL: 400,
  ENOBUFS: 507,
  EMSGSIZE: 413,
  EPERM: 403,
  ENETDOWN: 409,
  EIO: 502,
  EWOULDBLOCK: 409,
};

function fromBpfError(error: BpfError, gone: boolean): Problem {
  const status = gone && error.code === 'ENXIO' ? 410 : BPF_STATUS[error.code];
  return problem(status, error.message, { type: problemType('bpf'), code: error.code });
}

const LAB_CHANGE_STATUS: Readonly<Record<LabChangeError['code'], number>> = {
  ENXIO: 404,
  EINVAL: 400,
  EEXIST: 409,
  EBUSY: 409,
  ENETDOWN: 409,
  ENOSPC: 507,
};

function fromLabChangeError({ code, message }: LabChangeError): Problem {
  return problem(LAB_CHANGE_STATUS[code], message, { type: problemType('lab'), code });
}

const REQUEST_PARTS: Readonly<Record<string, string>> = { params: 'path', querystring: 'query' };

function fromValidation(error: ValidationError): Problem {
  const part = REQUEST_PARTS[error.validationContext ?? ''] ?? 'body';
  return problem(
    400,
    `The ${part} of the request is not valid: ${error.message}${error.message.endsWith('?') ? '' : '.'}`,
    {
      type: problemType('validation'),
      title: 'Request not valid',
      errors: problemItems(error),
    },
  );
}

const REQUEST_ADVICE: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'Send JSON as application/json (curl: -H "content-type: application/json").',
  FST_ERR_CTP_BODY_TOO_LARGE: 'A request body may have at most 1 MiB.',
};

function fromRequestError(error: RequestError, status: number): Problem {
  const advice = REQUEST_ADVICE[error.code ?? ''];
  return problem(status, advice === undefined ? error.message : `${error.message}. ${advice}`);
}
