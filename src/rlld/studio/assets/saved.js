// Corrections on their way to the server: stored in turn, never over what somebody else stored.

import { Refused } from "./api.js";

/**
 * @typedef {import("./edits.js").Event} Event
 * @typedef {{revision: number, person: string, time: number|string, events: Event[]}} Version
 */

const REST = 500; // ms without a change after which it is stored

/** Emits "state" (detail: {state, text}) and "meanwhile" (detail: the version of somebody else). */
export class Saved extends EventTarget {
  /**
   * @param {import("./api.js").Api} api
   * @param {{id: string, classes: string[], person: string, revision: number, signal: AbortSignal}} clip
   */
  constructor(api, { id, classes, person, revision, signal }) {
    super();
    this.api = api;
    this.path = api.path`/api/clips/${id}/events`;
    this.classes = classes; // what the numbers of events mean here
    this.person = person;
    this.revision = revision;
    /** @type {Event[]|null} */ this.waiting = null;
    /** @type {Promise<boolean>|null} */ this.running = null;
    this.timer = 0;
    addEventListener("beforeunload", (event) => { if (this.waiting || this.running) event.preventDefault(); }, { signal });
  }

  /** @param {string} state "stored", "storing" or "failed" @param {string} text */
  tell(state, text) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, text } }));
  }

  /** @param {Event[]} events to be stored soon, instead of those that wait */
  later(events) {
    this.waiting = events;
    this.tell("storing", "Storing\u2026");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), REST);
  }

  /** @param {Event[]} events @returns {Promise<boolean>} whether they are stored */
  async now(events) {
    this.waiting = events;
    return this.flush();
  }

  /** Stores what waits, after what is under way. @returns {Promise<boolean>} whether all is stored */
  async flush() {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    if (!this.waiting) return true;
    this.running = this.send(this.waiting);
    try {
      return await this.running;
    } finally {
      this.running = null;
    }
  }

  /** @param {Event[]} events */
  async send(events) {
    this.waiting = null;
    this.tell("storing", "Storing\u2026");
    try {
      const { person, classes, revision: base } = this;
      const { revision } = await this.api.put(this.path, { person, base, classes, events });
      this.revision = revision;
      if (!this.waiting) this.tell("stored", `Stored, version ${revision}`);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.waiting ??= events;
      clearTimeout(this.timer);
      const theirs = error.body?.revision ? error.body : null;
      this.tell("failed", theirs ? "Not stored" : `Not stored: ${error.message}`);
      if (theirs) this.dispatchEvent(new CustomEvent("meanwhile", { detail: theirs }));
      return !this.waiting; // theirs may be what was to be stored
    }
  }

  /** @param {Version} theirs after which mine are stored */
  async keepMine(theirs) {
    this.revision = theirs.revision;
    return this.flush();
  }

  /** @param {Version} theirs that take the place of mine */
  takeTheirs(theirs) {
    this.revision = theirs.revision;
    this.waiting = null;
    clearTimeout(this.timer);
    this.tell("stored", `Stored by ${theirs.person}, version ${theirs.revision}`);
  }
}
