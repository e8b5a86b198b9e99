/** `taplab switch`: looking at a switch or hub, and at what it has learned. */
import { Command } from 'commander';
import type { AddressStatus, SwitchPortStatus, SwitchStatus } from '../../daemon/contract.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { count, duration } from '../format.ts';
import { numbers, table, texts } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function switchCommand(context: Context): Command {
  return new Command('switch')
    .summary('show a switch or hub, its ports, and the addresses it has learned')
    .description('Looks at the switches and hubs of a lab (docs/switches.md). `taplab ps` lists them.')
    .addHelpText(
      'after',
      `
Examples:
  $ taplab switch show sw0
  $ taplab set sw0/a:eth0 'delay 5ms'
  $ taplab dump sw0:mirror @arp`,
    )
    .addCommand(showCommand(context));
}

function showCommand(context: Context): Command {
  return new Command('show')
    .description('show a switch or hub, its ports, and the addresses it has learned')
    .argument('<name>', 'name of the switch or hub')
    .addOption(jsonOption())
    .action(async (name: string, { json }: { json?: true }) => {
      const { client, terminal } = context;
      const [status, addresses] = await Promise.all([client.switch(name), client.switchAddresses(name)]);
      if (json) return terminal.printJson({ ...status, table: addresses });
      for (const line of lines(terminal, status, addresses)) terminal.print(line);
    });
}

function lines(terminal: Terminal, status: SwitchStatus, addresses: readonly AddressStatus[]): string[] {
  const { kind, name, ageingNs, addressRoom } = status;
  const frames = [
    `${count(status.forwarded)} forwarded`,
    `${count(status.flooded)} flooded`,
    `${count(status.filtered)} filtered`,
    `${count(status.vlanRefused)} refused for their VLAN`,
  ];
  const head = `${kind} ${name}: frames ${frames.join(', ')}`;
  const ports = status.ports.map((port) => [
    port.name,
    port.link ?? '-',
    vlansText(port),
    port.mirrored ? 'yes' : 'no',
  ]);
  const portLines = table(terminal, texts('PORT', 'LINK', 'VLANS', 'MIRRORED'), ports);
  if (kind === 'hub') return [head, '', ...portLines];
  const learned = [
    `addresses ${count(addresses.length)} of ${count(addressRoom)}`,
    `forgotten after ${duration(ageingNs / 1e9)}`,
    `${count(status.moved)} moved`,
    `${count(status.notLearned)} not learned for want of room`,
  ];
  const rows = addresses.map(({ mac, vlan, port, ageNs }) => [
    mac,
    vlan === 0 ? '-' : String(vlan),
    port,
    duration(ageNs / 1e9),
  ]);
  const columns = [...texts('ADDRESS'), ...numbers('VLAN'), ...texts('PORT'), ...numbers('AGE')];
  return [head, learned.join(', '), '', ...portLines, '', ...table(terminal, columns, rows)];
}

/** `10`, or `1, tagged 10 20`. */
function vlansText({ vlans }: SwitchPortStatus): string {
  if (vlans === null) return '-';
  const untagged = vlans.untagged === null ? [] : [String(vlans.untagged)];
  const tagged = vlans.tagged.length === 0 ? [] : [`tagged ${vlans.tagged.join(' ')}`];
  return [...untagged, ...tagged].join(', ');
}
