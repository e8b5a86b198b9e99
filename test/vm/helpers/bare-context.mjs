/** Runs dist/vm in a bare context for bare-context.test.ts; prints what came of it as JSON. Argument: index.js. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createContext, runInContext, SourceTextModule } from 'node:vm';

const context = createContext(Object.create(null), { codeGeneration: { strings: false, wasm: true } });
const modules = new Map();

function load(path) {
  let module = modules.get(path);
  if (module === undefined) {
    module = new SourceTextModule(readFileSync(path, 'utf8'), { identifier: path, context });
    modules.set(path, module);
  }
  return module;
}

const vm = load(resolve(process.argv[2]));
await vm.link((specifier, from) => {
  if (!specifier.startsWith('.')) throw new Error(`${from.identifier} imports ${specifier}`);
  return load(resolve(dirname(from.identifier), specifier));
});
await vm.evaluate();

const test = new SourceTextModule(
  `
  import * as vm from 'vm';
  const program = vm.compileFilter('tcp port 80 or arp');
  const arp = new Uint8Array(60);
  arp.set([0x08, 0x06], 12);
  const packets = [arp, new Uint8Array(60)];
  const memory = new WebAssembly.Memory({ initial: 1 });
  new Uint8Array(memory.buffer).set(arp, 1024);
  new Int32Array(memory.buffer).set([1024, 60, 60]);
  const linux = vm.assemble('ld #type\\nret a', { dialect: 'linux' });
  let error;
  try {
    vm.compileFilter('tcp port htp');
  } catch ({ message }) {
    error = message;
  }
  export default {
    wasm: packets.map((packet) => vm.createMatcher(program, { engine: 'wasm' })(packet)),
    interpreter: packets.map((packet) => vm.createMatcher(program, { engine: 'interpreter' })(packet)),
    fused: vm.compileFused([program, vm.compileFilter('udp')], { memory })(1024, 60, 60, 2048),
    batch: vm.compileBatch(program, { memory })(0, 1),
    linux: vm.interpret(linux, arp, 60, { packetType: 4 }),
    listing: vm.disassemble(program),
    explained: vm.explain('arp'),
    error,
  };`,
  { context },
);
await test.link(() => vm);
await test.evaluate();

const ofNode = [
  'process',
  'Buffer',
  'require',
  'setTimeout',
  'TextEncoder',
  'performance',
  'URL',
  'structuredClone',
];
const globals = ofNode.filter((name) => runInContext(`typeof ${name}`, context) !== 'undefined');
process.stdout.write(JSON.stringify({ globals, ...test.namespace.default }));
