/** The thread that fuses filters: takes jobs, one after the other, and answers each with its module or what is wrong. */
import { parentPort } from 'node:worker_threads';
import { type FusionJob, runJob } from './fusion-job.ts';

export type FusionRequest = { readonly number: number; readonly job: FusionJob };
/** Without a module: why there is none. */
export type FusionAnswer = {
  readonly number: number;
  readonly module?: WebAssembly.Module;
  readonly reason?: string;
};

async function answer({ number, job }: FusionRequest): Promise<FusionAnswer> {
  try {
    return { number, module: await runJob(job) };
  } catch (error) {
    return { number, reason: error instanceof Error ? error.message : String(error) };
  }
}

const port = parentPort!;
port.on('message', async (request: FusionRequest) => port.postMessage(await answer(request)));
