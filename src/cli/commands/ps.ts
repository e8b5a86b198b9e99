/** `taplab ps`: the lab that runs, and what is in it. */
import { Command } from 'commander';
import type { DescriptorResource, LabResource } from '../../control/schemas/resources.ts';
import type { InterfaceStatus, LinkStatus, SwitchStatus } from '../../daemon/contract.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { count, duration, plural, si } from '../format.ts';
import { interfaceState } from '../interface-state.ts';
import { overloadLines } from '../lateness.ts';
import { settingsText } from '../link-change.ts';
import { type Cell, numbers, table, texts } from '../table.ts';
import { type Terminal, visible } from '../terminal.ts';

export function psCommand(context: Context): Command {
  return new Command('ps')
    .summary('show the lab, its nodes, interfaces, links, switches and descriptors')
    .description('Shows the lab, its nodes, interfaces, links, switches and descriptors.')
    .addOption(jsonOption('print all of it as JSON'))
    .action(async ({ json }: { json?: true }) => {
      const { client, terminal } = context;
      const [lab, interfaces, links, switches, descriptors] = await Promise.all([
        client.lab(),
        client.interfaces(),
        client.links(),
        client.switches(),
        client.descriptors(),
      ]);
      if (json) return terminal.printJson({ lab, interfaces, links, switches, descriptors });
      printLab(terminal, lab);
      printInterfaces(terminal, lab, interfaces);
      if (links.length > 0) printLinks(terminal, links);
      if (switches.length > 0) printSwitches(terminal, switches);
      if (descriptors.length > 0) printDescriptors(terminal, descriptors);
    });
}

function printLab(terminal: Terminal, lab: LabResource): void {
  const clock = lab.virtual ? ', virtual clock' : '';
  const up = `up ${duration(lab.uptimeSeconds)}, ${si(lab.residentBytes, 'B')}`;
  terminal.print(
    `lab ${lab.name}: pid ${lab.pid}, ${up}, ${plural(lab.workers, 'worker')}, seed ${lab.seed}${clock}, taplab ${lab.version}`,
  );
}

function printTable(terminal: Terminal, lines: readonly string[]): void {
  terminal.print('');
  for (const line of lines) terminal.print(line);
}

function printInterfaces(terminal: Terminal, lab: LabResource, interfaces: readonly InterfaceStatus[]): void {
  const namespaces = new Map(
    lab.nodes.flatMap((node) => node.interfaces.map((name) => [name, node.namespace])),
  );
  const rows = interfaces.map((each): Cell[] => [
    each.name,
    namespaces.get(each.name) ?? '-',
    each.kind,
    String(each.mtu),
    each.mac,
    each.addresses.join(' ') || '-',
    interfaceState(each, lab.nodes),
  ]);
  const columns = [
    ...texts('INTERFACE', 'NAMESPACE', 'KIND'),
    ...numbers('MTU'),
    ...texts('MAC', 'ADDRESSES', 'STATE'),
  ];
  printTable(terminal, table(terminal, columns, rows));
}

function printLinks(terminal: Terminal, links: readonly LinkStatus[]): void {
  const rows = links.flatMap(({ name, forward, reverse }) =>
    [forward, reverse].map((each) => [name, each.from, each.to, settingsText(each)]),
  );
  printTable(terminal, table(terminal, texts('LINK', 'FROM', 'TO', 'IMPAIRMENT'), rows));
  for (const line of overloadLines(terminal, links)) terminal.print(line);
}

function printSwitches(terminal: Terminal, switches: readonly SwitchStatus[]): void {
  const rows = switches.map(({ name, kind, ports, addresses, mirror }) => [
    name,
    kind,
    String(ports.length),
    count(addresses),
    mirror,
  ]);
  const columns = [...texts('SWITCH', 'KIND'), ...numbers('PORTS', 'ADDRESSES'), ...texts('MIRROR')];
  printTable(terminal, table(terminal, columns, rows));
}

function printDescriptors(terminal: Terminal, descriptors: readonly DescriptorResource[]): void {
  const rows = descriptors.map((each) => [
    String(each.id),
    each.interface,
    each.direction,
    String(each.owner.uid),
    count(each.received),
    count(each.accepted),
    count(each.dropped),
    String(each.readers.length),
    each.filter || '(all)',
  ]);
  const columns = [
    ...numbers('ID'),
    ...texts('INTERFACE', 'DIRECTION'),
    ...numbers('UID', 'RECEIVED', 'ACCEPTED', 'DROPPED', 'READERS'),
    ...texts('FILTER'),
  ];
  printTable(terminal, table(terminal, columns, rows));
  for (const { id, errors } of descriptors) {
    for (const error of errors) terminal.print(terminal.paint('red', visible(`descriptor ${id}: ${error}`)));
  }
}
