/**
 * The library: labs without a daemon. `Lab` is for tests and scripts (docs/library.md); below it, `Emulator` is what
 * carries the frames. Running BPF programs needs only `taplab/vm`.
 *
 * @example
 * await using lab = await Lab.up('wan.yaml');
 * const capture = await lab.interface('client:eth0').attach('tcp port 80');
 * await lab.node('client').exec('curl', ['http://198.18.0.2/']);
 * console.log(await capture.frames());
 *
 * @example
 * const lab = parseLab(text, { file: 'lab.yaml', baseDirectory: '.' });   // every device: memory
 * const emulator = await Emulator.start(lab);
 * emulator.memoryDevice('b:eth0').onFrame = (frame) => console.log(emulator.clock.nowNs(), frame);
 * emulator.memoryDevice('a:eth0').send(frame);
 * await emulator.run();
 * await emulator.close();
 */
export { type CapturedFrame, type Direction, frames, type Timestamp } from './bpf/record.ts';
export {
  type AttachOptions,
  BPF_VERSION,
  BpfError,
  CONTROL_OWNER,
  DEFAULT_BUFFER_BYTES,
  DEFAULT_READ_TIMEOUT_MS,
  type DescriptorHandle,
  type DescriptorStatus,
  type HeldBatch,
  MAX_BUFFER_BYTES,
  MIN_BUFFER_BYTES,
  type NamedProgram,
  type Owner,
  type ReadOptions,
} from './bpf/types.ts';
export { ControlClient, ControlError } from './control/client.ts';
export { FilterError } from './control/filter.ts';
export type {
  Counters,
  DirectionStatus,
  InterfaceStatus,
  LinkChange,
  LinkStatus,
} from './daemon/contract.ts';
export { Emulator, type EmulatorOptions, type OpenPort } from './daemon/emulator.ts';
export type { Recording, RecordingResult } from './daemon/recording.ts';
export type { MemoryDevice } from './device/memory.ts';
export type {
  Lab as LabDefinition,
  LabDescriptor,
  LabInterface,
  LabLink,
  LabNode,
  LabRoute,
} from './lab/model.ts';
export { type LabError, LabFileError, parseLab, readLab } from './lab/parse.ts';
export type { LabInput } from './lab/schema/lab.ts';
export { StateError } from './lab/state.ts';
export { elapsedMs, type FrameCapture } from './library/capture.ts';
export { CommandError, RequirementsError, WaitError } from './library/errors.ts';
export type { CaptureOptions, Filter, InterfaceHandle } from './library/interface.ts';
export { Lab, type LabOptions } from './library/lab.ts';
export type { Impairment, LinkHandle } from './library/link.ts';
export type { ExecOptions, NodeHandle } from './library/node.ts';
export type { CommandOptions, ExecResult, SpawnedProcess } from './library/process.ts';
export type { Requirements } from './library/requirements.ts';
export type { LabSource } from './library/source.ts';
export type { WaitOptions } from './library/time.ts';
export { ImpairmentError } from './link/impairment.ts';
export { CLEAR_LINK, DROP_REASONS, type DropReason, type LinkSettings } from './link/settings.ts';
