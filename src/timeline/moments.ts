/** Steps of a timeline, and the moments they make: all that is to change at one time changes at once. */
export type Step = { readonly atNs: number };
export type Moment<S extends Step> = { readonly atNs: number; readonly steps: readonly S[] };

/** In the order of time; steps of one moment in the order they had. */
export function momentsOf<S extends Step>(steps: readonly S[]): Moment<S>[] {
  const times = [...new Set(steps.map(({ atNs }) => atNs))].sort((a, b) => a - b);
  return times.map((atNs) => ({ atNs, steps: steps.filter((step) => step.atNs === atNs) }));
}
