// Calls of the service. Addresses are relative to the page, so that it works under any prefix.

let key = null; // in memory only: never in storage, never in an address

/** The key to send from now on. */
export function useKey(value) {
  key = value;
}

export class Unreachable extends Error {}

/** An answer that is an error: `status`, `detail`, and `errors` as `{field, detail, allowed}`. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.errors = document.errors ?? [];
  }
}

/** The JSON document at `path`; a POST if there is a body. Throws `Unreachable` or `Problem`. */
export async function call(path, body) {
  const headers = { Accept: "application/json" };
  if (key !== null) headers["X-API-Key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const request = { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body), cache: "no-store" };
  // An early stage takes its time over a first answer: it imports what it needs. The service has a limit of its own.
  const longest = body === undefined ? 10_000 : 60_000;
  let answer, document;
  try {
    answer = await fetch(path, { ...request, signal: AbortSignal.timeout(longest) });
    document = await answer.json();
  } catch {
    // Nothing listens, it took too long, or a proxy answered with a page of its own.
    if (!answer) throw new Unreachable("no answer");
    throw answer.ok ? new Unreachable("not the answer of this service") : new Problem(answer.status, {});
  }
  if (!answer.ok) throw new Problem(answer.status, document);
  return document;
}
