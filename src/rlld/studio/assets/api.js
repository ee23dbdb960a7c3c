// The server's answers and their types. Whatever goes wrong becomes one sentence.

/**
 * @typedef {{name: string, clips: number, classes: string[], splits: Record<string, number>,
 *   tags: number, dense: number}} Data
 * @typedef {Record<string, number>} Scores
 * @typedef {Record<string, {low: number, high: number, clear: boolean}>} Gains
 * @typedef {{video: string, class: string, modality: "audio"|"visual", before: boolean,
 *   after: boolean}} Changed
 * @typedef {{state: "running"|"done"|"failed"|"cancelled", progress: number, text: string,
 *   started: number, run: number, scored: number|null, before: Scores|null, after: Scores|null, gains: Gains|null, on: string|null,
 *   changed: Changed[]|null, error: string|null}} Job
 * @typedef {{data: Data, run: {name: string, recipe: string}|null, people: string[],
 *   answered: number, corrected: number, by_person: Record<string, number>, counted: number, gain: number|null, unit: string|null,
 *   stop: string|null, person: string|null, notes: string[], formats: Array<[string, string]>}} State
 * @typedef {{id: string|number, video: string, class: string, split: string, at: number,
 *   end: number|null, audio: number|null, visual: number|null, probability: number|null,
 *   why: string|null, lacks: "audio"|"visual"|null}} Question
 * @typedef {typeof api} Api
 * @typedef {{api: Api, person: string, id: string|null, go: (view: string, id?: string) => void,
 *   signal: AbortSignal, tell: (sentence: string) => void, state: State,
 *   refresh: () => Promise<State>, before: (finish: () => Promise<boolean>) => void}} Context
 */

/** What the server did not do, and why. */
export class Refused extends Error {
  /**
   * @param {string} sentence
   * @param {number} status of HTTP; 0 where no server answered
   * @param {any} [body] the parsed answer
   */
  constructor(sentence, status, body = null) {
    super(sentence);
    this.name = "Refused";
    this.status = status;
    this.body = body;
  }
}

const GONE = "The studio does not answer: start it again in the terminal; what is marked as stored is kept.";

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function ask(method, path, body, signal) {
  /** @type {RequestInit} */
  const request = { method, signal };
  if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refused(GONE, 0);
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  const sentence = answer?.error || `The studio answered ${response.status} to ${method} ${path}.`;
  throw new Refused(sentence, response.status, answer);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function json(method, path, body, signal) {
  const response = await ask(method, path, body, signal);
  try {
    return await response.json();
  } catch {
    throw new Refused(GONE, 0);
  }
}

export const api = {
  /** @param {string} path @param {AbortSignal} [signal] fires when nobody waits for the answer any more */
  get: (path, signal) => json("GET", path, undefined, signal),
  /** @param {string} path @param {unknown} body */
  post: (path, body) => json("POST", path, body),
  /** @param {string} path @param {unknown} body */
  put: (path, body) => json("PUT", path, body),
  /** @param {string} path */
  remove: (path) => json("DELETE", path),

  /**
   * A path with what is put in encoded: api.path`/api/clips/${id}?person=${person}`.
   * @param {TemplateStringsArray} parts
   * @param {...(string|number)} values
   */
  path: (parts, ...values) => String.raw({ raw: parts }, ...values.map(encodeURIComponent)),

  /**
   * Why a file cannot be had; null where it can.
   * @param {string} path
   * @returns {Promise<string|null>}
   */
  async refusal(path) {
    const stop = new AbortController();
    try {
      const response = await fetch(path, { headers: { Range: "bytes=0-0" }, signal: stop.signal });
      if (response.ok) return null;
      const answer = await response.json().catch(() => null);
      return answer?.error || `The studio answered ${response.status} to ${path}.`;
    } catch {
      return GONE;
    } finally {
      stop.abort();
    }
  },

  /**
   * Posts, and saves the file that comes back under the name that the server gave it.
   * @param {string} path
   * @param {unknown} body
   * @returns {Promise<{name: string, lacking: string}>} the name, and what the file lacks
   */
  async download(path, body) {
    const response = await ask("POST", path, body);
    const named = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") || "");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = named?.[1] || "export.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return { name: link.download, lacking: decodeURIComponent(response.headers.get("Rlld-Lacking") || "") };
  },
};
