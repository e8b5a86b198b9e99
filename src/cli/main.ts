#!/usr/bin/env node
/** The `taplab` command. */
import { watchPipes } from './broken-pipe.ts';
import { runCli } from './run.ts';
import { Terminal } from './terminal.ts';

watchPipes();
const terminal = new Terminal(process.stdout, process.stderr, process.env);
process.exitCode = await runCli(process.argv.slice(2), terminal);
