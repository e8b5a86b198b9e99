/** The metrics of switches and hubs. */
import { type Family, family } from '../family.ts';

export const SWITCHES: Family = family(
  { title: 'Switches and hubs', each: 'switch or hub', labels: ['switch'] },
  (state) => state.switches,
  ({ name }) => ({ switch: name }),
  [
    {
      name: 'taplab_switch_forwarded_frames_total',
      help: 'Frames sent to the one port where their destination is.',
      value: ({ forwarded }) => forwarded,
    },
    {
      name: 'taplab_switch_flooded_frames_total',
      help: 'Frames sent to all ports of their VLAN: for a group, or for an address that is not known.',
      value: ({ flooded }) => flooded,
    },
    {
      name: 'taplab_switch_filtered_frames_total',
      help: 'Frames sent nowhere: meant for where they came from, or for bridges only.',
      value: ({ filtered }) => filtered,
    },
    {
      name: 'taplab_switch_vlan_refused_frames_total',
      help: 'Frames of a VLAN that their port does not carry.',
      value: ({ vlanRefused }) => vlanRefused,
    },
    {
      name: 'taplab_switch_addresses',
      help: 'Addresses that are known.',
      value: ({ addresses }) => addresses,
    },
    {
      name: 'taplab_switch_address_room',
      help: 'Addresses that can be known.',
      value: ({ addressRoom }) => addressRoom,
    },
    {
      name: 'taplab_switch_learned_addresses_total',
      help: 'Addresses that were learned.',
      value: ({ learned }) => learned,
    },
    {
      name: 'taplab_switch_moved_addresses_total',
      help: 'Addresses that were known at another port until then: many are the sign of a loop.',
      value: ({ moved }) => moved,
    },
    {
      name: 'taplab_switch_not_learned_addresses_total',
      help: 'Addresses that were not learned for want of room.',
      value: ({ notLearned }) => notLearned,
    },
  ],
);
