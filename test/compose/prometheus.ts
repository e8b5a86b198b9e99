/** Asking a Prometheus over its HTTP API. */

export type Series = { readonly metric: Readonly<Record<string, string>>; readonly value: number };

type Answer = {
  status: string;
  error?: string;
  data: { result: { metric: Record<string, string>; value: [number, string] }[] };
};

/** The result of an instant query. Throws what Prometheus has against the expression. */
export async function query(url: string, expression: string): Promise<Series[]> {
  const response = await fetch(`${url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expression }),
  });
  const answer = (await response.json()) as Answer;
  if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
  return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
}

/** Rules that Prometheus could not evaluate, with why. */
export async function brokenRules(url: string): Promise<string[]> {
  const response = await fetch(`${url}/api/v1/rules`);
  const { data } = (await response.json()) as {
    data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
  };
  return data.groups
    .flatMap(({ rules }) => rules)
    .filter(({ health }) => health !== 'ok')
    .map(({ name, health, lastError }) => `${name}: ${health} ${lastError ?? ''}`);
}
