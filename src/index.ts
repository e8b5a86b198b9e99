/**
 * The library: labs without a daemon. Running BPF programs needs only `taplab/vm`.
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
export type {
  Counters,
  DirectionStatus,
  InterfaceStatus,
  LinkChange,
  LinkStatus,
} from './daemon/contract.ts';
export { Emulator, type EmulatorOptions, type OpenPort } from './daemon/emulator.ts';
export type { MemoryDevice } from './device/memory.ts';
export type { Lab, LabDescriptor, LabInterface, LabLink, LabNode, LabRoute } from './lab/model.ts';
export { type LabError, LabFileError, parseLab, readLab } from './lab/parse.ts';
export { CLEAR_LINK, DROP_REASONS, type DropReason, type LinkSettings } from './link/settings.ts';
