/** The metrics of BPF descriptors. */
import { type Family, family } from '../family.ts';

export const DESCRIPTORS: Family = family(
  {
    title: 'BPF descriptors',
    each: 'attached descriptor',
    labels: ['interface', 'descriptor'],
  },
  (state) => state.descriptors,
  (each) => ({ interface: each.interface, descriptor: String(each.id) }),
  [
    {
      name: 'taplab_bpf_received_total',
      help: 'Frames that the descriptor saw, before its filter.',
      value: ({ received }) => received,
    },
    {
      name: 'taplab_bpf_accepted_total',
      help: 'Frames that its filter accepted.',
      value: ({ accepted }) => accepted,
    },
    {
      name: 'taplab_bpf_dropped_total',
      help: 'Accepted frames for which its buffers had no room.',
      value: ({ dropped }) => dropped,
    },
    {
      name: 'taplab_bpf_captured_bytes_total',
      help: 'Bytes stored in its buffers.',
      value: ({ capturedBytes }) => capturedBytes,
    },
    {
      name: 'taplab_bpf_written_frames_total',
      help: 'Frames sent to the node through the descriptor.',
      value: ({ written }) => written,
    },
    {
      name: 'taplab_bpf_write_filtered_frames_total',
      help: 'Frames that its write filter refused.',
      value: ({ writeFiltered }) => writeFiltered,
    },
    {
      name: 'taplab_bpf_write_dropped_frames_total',
      help: 'Frames written through it that could not be sent for another reason.',
      value: ({ writeDropped }) => writeDropped,
    },
    {
      name: 'taplab_bpf_buffered_bytes',
      help: 'Bytes of records that wait for its reader.',
      value: ({ storeBytes, holdBytes }) => storeBytes + holdBytes,
    },
    {
      name: 'taplab_bpf_filter_instructions',
      help: 'Length of its filter program.',
      value: ({ instructions }) => instructions,
    },
    {
      name: 'taplab_bpf_buffer_bytes',
      help: 'Size of each of its two buffers.',
      value: ({ bufferBytes }) => bufferBytes,
    },
  ],
);
