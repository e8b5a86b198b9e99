#!/usr/bin/env node
/** The `taplab` command. */
import { runCli } from './run.ts';
import { Terminal } from './terminal.ts';

/** What a shell reports for a program that was ended by SIGPIPE, which Node ignores. */
const PIPE_CLOSED = 141;

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(PIPE_CLOSED);
    throw error;
  });
}

const terminal = new Terminal(process.stdout, process.stderr, process.env);
process.exitCode = await runCli(process.argv.slice(2), terminal);
