/** The Grafana dashboard of docker/grafana, as far as tests look at it. */

type Datasource = { readonly type: string; readonly uid: string };

type Target = { readonly refId: string; readonly expr: string; readonly datasource?: Datasource };

type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: Datasource;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  /** Of a collapsed row. */
  readonly panels?: readonly Panel[];
};

export type Dashboard = { readonly panels: readonly Panel[] };

/** All panels, those in rows included. */
export function allPanels(dashboard: Dashboard): Panel[] {
  return dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
}

/** Every query, with what Grafana puts in place of its variables. */
export function queriesOf(dashboard: Dashboard): { readonly panel: string; readonly expr: string }[] {
  return allPanels(dashboard).flatMap(({ title, targets }) =>
    (targets ?? []).map(({ refId, expr }) => ({
      panel: `${title} ${refId}`,
      expr: expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m'),
    })),
  );
}
