// One door to the server: JSON in, JSON out, errors as RFC 9457 problem details.

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
  }
}

/** Address of an API route or tile file, relative to the page so that a path prefix in front of the node works. */
export function address(path: string, query: Record<string, string | number | undefined> = {}): string {
  const url = new URL(path.replace(/^\//, ''), new URL('./', document.baseURI));
  for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
  return url.href;
}

async function problem(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const title = typeof body.title === 'string' ? body.title : response.statusText;
  return new Problem(response.status, title, typeof body.detail === 'string' ? body.detail : '');
}

export async function getJson(path: string, query?: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<unknown> {
  const response = await fetch(address(path, query), { headers: { accept: 'application/json' }, cache: 'no-store', signal: signal ?? null });
  if (!response.ok) throw await problem(response);
  return response.json();
}

export async function postJson(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(address(path), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await problem(response);
  return response.json();
}

export async function deleteJson(path: string): Promise<void> {
  const response = await fetch(address(path), { method: 'DELETE', headers: { accept: 'application/json' } });
  if (!response.ok) throw await problem(response);
}
