/** The metrics of interfaces. */
import { type Family, family } from '../family.ts';

export const INTERFACES: Family = family(
  { title: 'Interfaces', each: 'interface', labels: ['interface'] },
  (state) => state.interfaces,
  (each) => ({ interface: each.name }),
  [
    {
      name: 'taplab_interface_info',
      help: 'Always 1; what the interface is, in the labels.',
      labels: ['kind'],
      values: ({ kind }) => [[{ kind }, 1]],
    },
    {
      name: 'taplab_interface_up',
      help: '1 while the device works, 0 once it is gone, and until its node has joined.',
      value: ({ up }) => (up ? 1 : 0),
    },
    {
      name: 'taplab_interface_mtu_bytes',
      help: 'Longest frame, without the link header.',
      value: ({ mtu }) => mtu,
    },
    {
      name: 'taplab_interface_receive_frames_total',
      help: 'Frames that the node sent and taplab read.',
      value: ({ receive }) => receive.frames,
    },
    {
      name: 'taplab_interface_receive_bytes_total',
      help: 'Bytes that the node sent and taplab read.',
      value: ({ receive }) => receive.bytes,
    },
    {
      name: 'taplab_interface_transmit_frames_total',
      help: 'Frames that taplab wrote to the node.',
      value: ({ transmit }) => transmit.frames,
    },
    {
      name: 'taplab_interface_transmit_bytes_total',
      help: 'Bytes that taplab wrote to the node.',
      value: ({ transmit }) => transmit.bytes,
    },
    {
      name: 'taplab_interface_descriptors',
      help: 'BPF descriptors attached.',
      value: ({ descriptors }) => descriptors,
    },
    {
      name: 'taplab_interface_filters_compiled',
      help: '1 when its filters run compiled to WebAssembly, 0 while they are interpreted.',
      value: ({ filterEngine }) => (filterEngine === 'wasm' ? 1 : 0),
    },
  ],
);
