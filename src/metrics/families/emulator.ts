/** The metrics of the emulator as a whole. */
import { VERSION } from '../../package.ts';
import { type Family, family } from '../family.ts';

export const EMULATOR: Family = family(
  { title: 'The emulator', each: 'lab', labels: [] },
  (state) => [state],
  () => ({}),
  [
    {
      name: 'taplab_build_info',
      help: 'Always 1; the versions are in the labels.',
      labels: ['version', 'node'],
      values: () => [[{ version: VERSION, node: process.version }, 1]],
    },
    {
      name: 'taplab_lab_info',
      help: 'Always 1; the lab that is up is in the label.',
      labels: ['lab'],
      values: ({ lab }) => [[{ lab }, 1]],
    },
  ],
);
