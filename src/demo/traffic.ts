/**
 * Traffic for labs, run inside nodes by plain Node, so that a lab needs neither ping nor iperf3:
 *
 *   node traffic.js serve [--echo-port 7] [--sink-port 80] [--seconds 600]
 *   node traffic.js ping ADDRESS [--count 10] [--interval MS] [--size BYTES] [--port 7]
 *   node traffic.js tcp ADDRESS [--bytes N] [--seconds S] [--port 80]
 *
 * Results go to stdout as one line of JSON. Every run is bounded in time, and SIGTERM or SIGINT ends it early with the
 * result so far; with `--until-stdin-closes` so does the end of stdin, that is the end of whoever holds the pipe. Exit
 * status: 0, 1 when the traffic could not be made, 2 for wrong arguments.
 */
import { parseArgs } from 'node:util';
import { whenStdinCloses } from '../cli/stdin-closes.ts';
import { ping } from './traffic/ping.ts';
import { serve } from './traffic/serve.ts';
import { tcp } from './traffic/tcp.ts';

const USAGE = `usage: traffic serve [--echo-port PORT] [--sink-port PORT] [--seconds S]
       traffic ping ADDRESS [--count N] [--interval MS] [--size BYTES] [--port PORT]
       traffic tcp ADDRESS [--bytes N] [--seconds S] [--port PORT]
options of each: --until-stdin-closes
`;

class UsageError extends Error {}

type Values = Record<string, string | undefined>;

/** Ends the run early, with the result so far. */
const interrupted = new AbortController();
process.once('SIGTERM', () => interrupted.abort());
process.once('SIGINT', () => interrupted.abort());

try {
  const result = await run(process.argv.slice(2), interrupted.signal);
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`traffic: ${message}\n${error instanceof UsageError ? USAGE : ''}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

function run(args: string[], signal: AbortSignal): Promise<object> {
  const { positionals, values, untilStdinCloses } = parse(args);
  if (untilStdinCloses) whenStdinCloses(() => interrupted.abort());
  const [command, address, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (command === 'serve') {
    if (address !== undefined) throw new UsageError(`serve takes no address, "${address}" was given`);
    return serve(
      {
        echoPort: integer(values, 'echo-port', 7, 1, 65_535),
        sinkPort: integer(values, 'sink-port', 80, 1, 65_535),
        seconds: integer(values, 'seconds', 600, 1, 86_400),
      },
      (ready) => process.stdout.write(`${JSON.stringify(ready)}\n`),
      signal,
    );
  }
  if (command !== 'ping' && command !== 'tcp') {
    throw new UsageError(command === undefined ? 'a command is missing' : `unknown command "${command}"`);
  }
  if (address === undefined) throw new UsageError(`${command} needs the address to talk to`);
  if (command === 'ping') {
    return ping(
      {
        address,
        port: integer(values, 'port', 7, 1, 65_535),
        count: integer(values, 'count', 10, 1, 1_000_000),
        intervalMs: integer(values, 'interval', 200, 1, 60_000),
        size: integer(values, 'size', 56, 12, 65_507),
      },
      signal,
    );
  }
  return tcp(
    {
      address,
      port: integer(values, 'port', 80, 1, 65_535),
      ...(values.bytes === undefined ? {} : { bytes: integer(values, 'bytes', 0, 1, 2 ** 40) }),
      seconds: integer(values, 'seconds', values.bytes === undefined ? 10 : 0, 1, 86_400),
    },
    signal,
  );
}

function parse(args: string[]): { positionals: string[]; values: Values; untilStdinCloses: boolean } {
  const text = { type: 'string' } as const;
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        'echo-port': text,
        'sink-port': text,
        seconds: text,
        count: text,
        interval: text,
        size: text,
        port: text,
        bytes: text,
        'until-stdin-closes': { type: 'boolean' },
      },
    });
    const { 'until-stdin-closes': untilStdinCloses = false, ...texts } = values;
    return { positionals, values: texts, untilStdinCloses };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(values: Values, name: string, fallback: number, least: number, most: number): number {
  const text = values[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(`--${name} "${text}" is not a whole number from ${least} to ${most}`);
  }
  return value;
}
