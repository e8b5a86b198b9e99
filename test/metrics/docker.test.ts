/** What docker/ makes of the metrics: rules, alerts and the dashboard. That queries find data is tested in test/compose. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { FAMILIES } from '../../src/metrics/catalogue.ts';
import { processMetrics } from '../../src/metrics/metrics.ts';
import { allPanels, type Dashboard, queriesOf } from '../helpers/dashboard.ts';
import { ROOT } from '../helpers/dist.ts';
import { isMissing } from '../helpers/requirements.ts';

const PROMETHEUS = join(ROOT, 'docker', 'prometheus');
const GRAFANA = join(ROOT, 'docker', 'grafana');
const dashboard = JSON.parse(readFileSync(join(GRAFANA, 'dashboards', 'taplab.json'), 'utf8')) as Dashboard;
const rules = (parse(readFileSync(join(PROMETHEUS, 'rules.yml'), 'utf8')) as RuleFile).groups.flatMap(
  (group) => group.rules,
);

type RuleFile = { groups: { rules: { record?: string; alert?: string; expr: string }[] }[] };

test.skipIf(isMissing('promtool')).each([
  ['check', 'config', 'prometheus.yml'],
  ['check', 'rules', '--lint-fatal', 'rules.yml'],
  ['test', 'rules', 'rules.test.yml'],
])('promtool %s %s', (...args) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: PROMETHEUS, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
});

test('rules and dashboard ask for metrics that there are', async () => {
  const served = new Set([
    ...FAMILIES.flatMap(({ metrics }) =>
      metrics.flatMap(({ name }) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
    ),
    ...(await processMetrics()).map(({ name }) => name),
    ...rules.flatMap(({ record }) => record ?? []),
  ]);
  for (const query of [...rules.map(({ expr }) => expr), ...queriesOf(dashboard).map(({ expr }) => expr)]) {
    const names = query.match(/\b(?:[a-z_]+:)?(?:taplab|process|nodejs)_\w+(?::\w+)?/g) ?? [];
    expect(
      names.filter((name) => !served.has(name)),
      query,
    ).toEqual([]);
  }
});

test('every alert is tested, and says what is wrong and what to do', () => {
  const tests = readFileSync(join(PROMETHEUS, 'rules.test.yml'), 'utf8');
  for (const { alert } of rules) {
    if (alert !== undefined)
      expect(tests).toMatch(new RegExp(`alertname: ${alert}\\n\\s+eval_time: \\w+\\n\\s+exp_alerts:\\n`));
  }
});

test('docs/operations.md has every alert, and no other', () => {
  const text = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
  const said = Array.from(text.matchAll(/^\| (Taplab\w+) \|/gm), ([, name]) => name);
  expect(said).toEqual(rules.flatMap(({ alert }) => alert ?? []));
});

test('every panel has a number, a title, a description and a place of its own', () => {
  const panels = allPanels(dashboard);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { title, type, description, gridPos } of panels) {
    expect(title).not.toBe('');
    if (type !== 'row') expect(description, title).not.toBe('');
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(x, title).toBeLessThan(24);
        expect(taken.has(`${x} ${y}`), `${title} covers another panel`).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
});

test('every query goes to the data source that is provisioned, under a letter of its own', () => {
  const provisioned = parse(
    readFileSync(join(GRAFANA, 'provisioning', 'datasources', 'prometheus.yml'), 'utf8'),
  ) as { datasources: { uid: string; type: string }[] };
  const [{ uid, type }] = provisioned.datasources as [{ uid: string; type: string }];
  for (const panel of allPanels(dashboard)) {
    const targets = panel.targets ?? [];
    expect(targets.length > 0, panel.title).toBe(panel.type !== 'row');
    expect(new Set(targets.map(({ refId }) => refId)).size, panel.title).toBe(targets.length);
    for (const { datasource } of [...targets, ...(panel.type === 'row' ? [] : [panel])]) {
      expect(datasource, panel.title).toEqual({ type, uid });
    }
  }
});
