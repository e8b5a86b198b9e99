/**
 * Carrying out what a reload is to change, a step after the other. Each step that is done is done in the model of the
 * lab too, so that when one fails the model is what is so, and the next reload goes on from there.
 */
import type { Lab, LabDescriptor, LabInterface, LabLink, LabNode, LabSwitch } from '../lab/model.ts';
import { ReloadError, type ReloadPlan } from './reload.ts';

/** What steps are made of. Each is done completely, or throws and has done nothing. */
export type ReloadActions = {
  closeDescriptor(descriptor: LabDescriptor): Promise<void>;
  openDescriptor(descriptor: LabDescriptor): Promise<void>;
  removeLink(name: string): Promise<unknown>;
  addLink(link: LabLink): Promise<void>;
  setLink(link: LabLink): Promise<unknown>;
  removeSwitch(name: string): Promise<void>;
  /** Adds it, or makes it what it shall be. */
  setSwitch(definition: LabSwitch): Promise<void>;
  removeInterface(name: string): Promise<void>;
  addInterface(definition: LabInterface): Promise<void>;
  removeNode(node: LabNode): Promise<void>;
  addNode(node: LabNode): Promise<void>;
  /** @param was what of it is so already; undefined when nothing is */
  configureNode(node: LabNode, was: LabNode | undefined): Promise<void>;
  /** Ends the membership of a node that joins, if it is one. */
  releaseNode(name: string): void;
};

const PAST = {
  add: 'added',
  close: 'closed',
  configure: 'configured',
  let: 'let',
  open: 'opened',
  remove: 'removed',
  set: 'set',
} as const;

type Step = {
  readonly verb: keyof typeof PAST;
  readonly object: string;
  readonly action?: () => Promise<unknown>;
  /** The lab after the step, from the lab before it. */
  readonly model: (lab: Lab) => Lab;
  /** For those who look at the model then. */
  readonly announce?: () => void;
};

/**
 * Takes the steps. Returns what was done, a line each; throws ReloadError when one failed, with what was done and what
 * was not.
 */
export async function carryOut(
  plan: ReloadPlan,
  actions: ReloadActions,
  model: { lab: Lab },
): Promise<string[]> {
  const steps = stepsOf(plan, actions);
  for (const [i, { verb, object, action, model: change, announce }] of steps.entries()) {
    try {
      await action?.();
    } catch (error) {
      const open = steps.slice(i + 1).map((step) => `${step.verb} ${step.object}`);
      throw new ReloadError(
        [
          `the lab file is carried out in part: could not ${verb} ${object}: ${(error as Error).message}`,
          `done: ${describeSteps(steps.slice(0, i)).join(', ') || 'nothing'}`,
          `not done: ${open.join(', ') || 'nothing else'}`,
          'correct the cause and reload again, which goes on from here',
        ].join('; '),
        error,
      );
    }
    model.lab = change(model.lab);
    announce?.();
  }
  return describeSteps(steps);
}

/** What a plan does, a line each, for logs and people. */
export function describePlan(plan: ReloadPlan): string[] {
  return describeSteps(stepsOf(plan));
}

function describeSteps(steps: readonly Pick<Step, 'verb' | 'object'>[]): string[] {
  return steps.map(({ verb, object }) => `${PAST[verb]} ${object}`);
}

function stepsOf(plan: ReloadPlan, actions?: ReloadActions): Step[] {
  return [
    ...plan.closeDescriptors.map(
      (each): Step => ({
        verb: 'close',
        object: `the descriptor on ${each.interface}`,
        action: async () => actions?.closeDescriptor(each),
        model: (lab) => ({ ...lab, descriptors: lab.descriptors.filter((other) => other !== each) }),
      }),
    ),
    ...plan.removeLinks.map(
      (name): Step => ({
        verb: 'remove',
        object: `link ${name}`,
        action: async () => actions?.removeLink(name),
        model: (lab) => ({ ...lab, links: lab.links.filter((link) => link.name !== name) }),
      }),
    ),
    ...removalSteps(plan, actions),
    ...plan.setSwitches.map((each) => switchStep(each, actions)),
    ...additionSteps(plan, actions),
    ...plan.addLinks.map(
      (link): Step => ({
        verb: 'add',
        object: `link ${link.name}`,
        action: async () => actions?.addLink(link),
        model: (lab) => ({ ...lab, links: [...lab.links, link] }),
      }),
    ),
    ...plan.setLinks.map(
      (link): Step => ({
        verb: 'set',
        object: `link ${link.name}`,
        action: async () => actions?.setLink(link),
        model: (lab) => ({
          ...lab,
          links: lab.links.map((other) => (other.name === link.name ? link : other)),
        }),
      }),
    ),
    ...plan.openDescriptors.map(
      (each): Step => ({
        verb: 'open',
        object: `a descriptor on ${each.interface}`,
        action: async () => actions?.openDescriptor(each),
        model: (lab) => ({ ...lab, descriptors: [...lab.descriptors, each] }),
      }),
    ),
    // Last, as when a lab comes up: from here on frames come.
    ...plan.configureNodes.map(
      ({ node, was }): Step => ({
        verb: 'configure',
        object: `node ${node.name}`,
        action: async () => actions?.configureNode(node, was),
        model: (lab) => withNode(lab, node),
      }),
    ),
  ];
}

/** A switch that comes, or is another from then on. */
function switchStep(definition: LabSwitch, actions?: ReloadActions): Step {
  return {
    verb: 'set',
    object: `switch ${definition.name}`,
    action: async () => actions?.setSwitch(definition),
    model: (lab) => withSwitches(lab, definition.name, [definition]),
  };
}

function removalSteps(plan: ReloadPlan, actions?: ReloadActions): Step[] {
  return [
    ...plan.removeSwitches.map(
      (name): Step => ({
        verb: 'remove',
        object: `switch ${name}`,
        action: async () => actions?.removeSwitch(name),
        model: (lab) => withSwitches(lab, name, []),
      }),
    ),
    ...plan.shrinkSwitches.map((each) => switchStep(each, actions)),
    ...plan.removeInterfaces.map(
      (name): Step => ({
        verb: 'remove',
        object: `interface ${name}`,
        action: async () => actions?.removeInterface(name),
        model: (lab) => withInterfaces(lab, (each) => each.filter((other) => other.name !== name)),
      }),
    ),
    ...plan.removeNodes.map(
      (node): Step => ({
        verb: 'remove',
        object: `node ${node.name}`,
        action: async () => actions?.removeNode(node),
        model: (lab) => ({ ...lab, nodes: lab.nodes.filter(({ name }) => name !== node.name) }),
        announce: () => actions?.releaseNode(node.name),
      }),
    ),
  ];
}

function additionSteps(plan: ReloadPlan, actions?: ReloadActions): Step[] {
  return [
    ...plan.addNodes.map(
      (node): Step => ({
        verb: 'add',
        object: `node ${node.name}`,
        action: async () => actions?.addNode(node),
        model: (lab) => ({ ...lab, nodes: [...lab.nodes, { ...node, interfaces: [] }] }),
      }),
    ),
    ...plan.addInterfaces.map(
      (added): Step => ({
        verb: 'add',
        object: `interface ${added.name}`,
        action: async () => actions?.addInterface(added),
        // Nothing of it is configured yet, unless its node does that itself.
        model: (lab) =>
          withInterfaces(lab, (each, { name, join }) =>
            name === added.node ? [...each, join ? added : { ...added, addresses: [] }] : each,
          ),
      }),
    ),
    ...plan.releaseNodes.map(
      (node): Step => ({
        verb: 'let',
        object: `node ${node.name} go, to join again`,
        model: (lab) => withNode(lab, node),
        announce: () => actions?.releaseNode(node.name),
      }),
    ),
  ];
}

function withNode(lab: Lab, node: LabNode): Lab {
  return { ...lab, nodes: lab.nodes.map((other) => (other.name === node.name ? node : other)) };
}

/** Without the switch of that name, and with these. */
function withSwitches(lab: Lab, name: string, switches: readonly LabSwitch[]): Lab {
  return { ...lab, switches: [...(lab.switches ?? []).filter((each) => each.name !== name), ...switches] };
}

function withInterfaces(
  lab: Lab,
  change: (interfaces: readonly LabInterface[], node: LabNode) => readonly LabInterface[],
): Lab {
  return { ...lab, nodes: lab.nodes.map((node) => ({ ...node, interfaces: change(node.interfaces, node) })) };
}
