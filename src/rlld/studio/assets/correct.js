// One clip on its timeline: events are corrected, stored as they change, and taken back.

import { beside } from "./browse.js";
import { count, keys, make, plain } from "./dom.js";
import { Editing, KEYS } from "./editing.js";
import { single, sorted } from "./edits.js";
import { closes } from "./nodes.js";
import { Saved } from "./saved.js";
import { Timeline } from "./timeline.js";
import { press } from "./toolbar.js";

/**
 * @typedef {import("./api.js").Context} Context
 * @typedef {import("./edits.js").Event} Event
 * @typedef {import("./saved.js").Version} Version
 * @typedef {{class: string, modality: "audio"|"visual", start: number, end: number, p: number}} Doubt
 * @typedef {{class: string, audio: boolean|null, visual: boolean|null, person: string}} Told
 * @typedef {Omit<import("./parsed.js").Parsed, "doubts"> & {id: string, split: string, any_audio: boolean, any_video: boolean, tags: number[],
 *   parsed: Event[], revision: number, answers: Told[], doubts: Doubt[], notes?: string[],
 *   previous: string|null, next: string|null}} Clip
 */

const MOST = 60; // pictures of a film strip
const WIDEST = 2000; // columns of a spectrogram, bins of a waveform

/** @param {string} label @param {string} key @param {() => void} action */
const quiet = (label, key, action) => press(label, key, action, "quiet");

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function correct(root, context) {
  const { api, person, id, signal } = context;
  if (!id) {
    root.replaceChildren(make("p", "nothing card", "There is no clip to correct."));
    return;
  }
  /** @type {Clip} */
  const clip = await api.get(api.path`/api/clips/${id}?person=${person}`);
  if (signal.aborted) return;
  new View(root, context, { ...clip, ...beside(clip.id) });
}

class View {
  /**
   * @param {HTMLElement} root
   * @param {Context} context
   * @param {Clip} clip
   */
  constructor(root, { api, person, go, signal, tell, before }, clip) {
    this.api = api;
    this.clip = clip;
    this.go = go;
    this.tell = tell;
    this.classes = clip.classes.map(plain);
    this.player = this.media();
    this.status = make("span", "stored");
    this.status.setAttribute("role", "status");
    this.again = quiet("Try again", "", () => this.saved.flush());
    this.again.hidden = true;
    this.back = quiet("Previous", ",", () => this.leave(clip.previous));
    this.next = quiet("Next", ".", () => this.leave(clip.next));
    this.back.disabled = !clip.previous;
    this.next.disabled = !clip.next;
    this.accept = quiet("Accept all", "A", () => this.acceptAll());
    this.accept.classList.add("main");
    this.past = this.history(signal);
    const card = make("section", "card timeline");
    card.setAttribute("aria-label", "Timeline");
    const time = make("output", "", "0 s");
    this.time = time;
    root.replaceChildren(
      make("header", "top clip-top", make("div", "", make("h1", "", clip.id), this.facts()),
        make("div", "own", this.status, this.again, this.past, this.back, this.next, this.accept)),
      ...(clip.notes?.length ? [make("ul", "notes", ...clip.notes.map((note) => make("li", "", note)))] : []),
      make("div", "correcting", make("section", "stage", this.player, this.broken = make("p", "notes"),
        make("div", "now", make("h2", "", "At ", time)), this.told(), this.help()), card));
    this.broken.hidden = true;
    this.broken.setAttribute("role", "status");
    const doubts = clip.doubts.map((each) => ({ c: clip.classes.indexOf(each.class), m: each.modality, s: each.start, e: each.end, p: each.p }));
    this.timeline = new Timeline(card, { ...clip, classes: this.classes, doubts }, { sources: this.sources(), signal, editable: true });
    for (const c of clip.tags) this.timeline.kept.add(c);
    this.editing = new Editing(this.timeline, { events: clip.events, signal });
    this.saved = new Saved(api, { id: clip.id, classes: clip.classes, person, revision: clip.revision, signal });
    before(() => this.saved.flush());
    this.listen(signal);
    this.editing.focus();
    if (clip.revision) this.state("stored", `Stored, version ${clip.revision}`);
    else this.state("new", `${clip.truth ? "As annotated" : clip.probabilities ? "As parsed" : "No event yet"}, nothing stored`);
  }

  facts() {
    const { split, duration, tags } = this.clip;
    const node = make("p", "facts", `${split} \u00b7 ${long(duration)}`);
    const lacking = [this.clip.any_audio ? "" : "sound", this.clip.any_video ? "" : "pictures"].filter(Boolean);
    if (lacking.length === 1) node.append(` \u00b7 no ${lacking[0]}`);
    if (tags.length) node.append(" \u00b7 tags:");
    for (const c of tags) node.append(" ", make("span", "tag", this.classes[c] ?? ""));
    return node;
  }

  /** What was answered of this clip: by all where they differ. */
  told() {
    const list = make("ul", "told-list");
    list.setAttribute("aria-label", "Answers");
    for (const { class: name, audio, visual, person } of this.clip.answers) {
      const parts = [audio === null ? "" : audio ? "heard" : "not heard", visual === null ? "" : visual ? "seen" : "not seen"];
      const said = parts.filter(Boolean).join(", ") || "unsure";
      list.append(make("li", "", make("b", "", plain(name)), ` ${said} (${person})`));
    }
    list.hidden = !list.childElementCount;
    return list;
  }

  help() {
    const list = make("dl", "key-list");
    for (const [key, text] of [...KEYS, [", .", "previous, next clip"], ["A", "accept all"]]) {
      list.append(make("dt", "", make("kbd", "", key)), make("dd", "", text));
    }
    const node = make("details", "help", make("summary", "", "Keys"), list);
    node.open = innerWidth > 1080;
    return node;
  }

  // --- the clip -------------------------------------------------------------------------------
  media() {
    const node = this.clip.any_video ? make("video") : make("audio");
    node.controls = true;
    node.preload = "auto";
    node.src = this.api.path`/media/${this.clip.id}`;
    node.setAttribute("aria-label", `Clip ${this.clip.id}`);
    if (node instanceof HTMLVideoElement) node.playsInline = true;
    // A mouse leaves the keys to the view; who comes by Tab has those of the player, whose own buttons tell of keys alone.
    let keyed = false;
    node.addEventListener("keyup", () => { keyed = true; });
    node.addEventListener("blur", () => { keyed = false; });
    for (const name of ["play", "pause", "seeked", "volumechange"]) node.addEventListener(name, () => { if (!keyed) node.blur(); });
    return node;
  }

  async explain() {
    if (!this.player.hasAttribute("src")) return;
    const refusal = await this.api.refusal(this.player.src);
    this.broken.hidden = false;
    this.broken.textContent = refusal || "The browser cannot play this clip.";
  }

  /** @returns {import("./strips.js").Sources} */
  sources() {
    const { api, clip } = this;
    /** @param {number} t */
    const s = (t) => t.toFixed(3);
    /** @type {import("./strips.js").Sources} */
    const sources = {};
    if (clip.any_audio) {
      sources.peaks = async (from, to, count, signal) => {
        const path = api.path`/api/peaks/${clip.id}?from=${s(from)}&to=${s(to)}&n=${Math.min(count, WIDEST)}`;
        return api.get(path, signal).catch(() => null);
      };
      sources.spectrogram = async (from, to) =>
        ({ from, to, url: api.path`/spectrogram/${clip.id}.png?from=${s(from)}&to=${s(to)}&n=${1200}` });
    }
    if (clip.any_video) {
      sources.film = async (from, to, wanted) => {
        const count = Math.min(wanted, MOST);
        return { from, to, count, url: api.path`/strip/${clip.id}.jpg?from=${s(from)}&to=${s(to)}&n=${count}` };
      };
    }
    return sources;
  }

  // --- what happens ---------------------------------------------------------------------------
  /** @param {AbortSignal} signal */
  listen(signal) {
    const { editing, player, saved, timeline } = this;
    /** @type {Event|null} */ let alone = null; // what is played, and nothing after it
    // Paused before it began to play, it is not broken.
    const play = () => {
      if (player.error) { // it may be back, or the studio
        const { currentTime } = player;
        player.load();
        player.currentTime = currentTime;
      }
      player.play().catch((error) => { if (error.name !== "AbortError") this.explain(); });
    };
    player.addEventListener("playing", () => { this.broken.hidden = true; });
    const draw = () => {
      if (alone && !player.seeking && player.currentTime >= alone.e) {
        player.pause();
        player.currentTime = alone.e;
        alone = null;
      }
      timeline.draw(player.currentTime);
      this.time.textContent = timeline.clock(player.currentTime, 1);
    };
    let frame = 0;
    const loop = () => {
      draw();
      frame = requestAnimationFrame(loop);
    };
    timeline.addEventListener("seek", (event) => {
      const time = /** @type {CustomEvent<number>} */ (event).detail;
      player.currentTime = Math.min(time, Math.max(0, (player.duration || this.clip.duration) - 0.001));
      this.time.textContent = timeline.clock(time, 1);
    });
    timeline.addEventListener("toggle", () => {
      alone = null;
      if (player.paused || player.error) play();
      else player.pause();
    });
    editing.addEventListener("play", (event) => {
      const { detail } = /** @type {CustomEvent<Event>} */ (event);
      timeline.seek(detail.s);
      alone = detail;
      play();
    });
    player.addEventListener("seeking", () => { if (alone && Math.abs(player.currentTime - alone.s) > 0.01) alone = null; });
    player.addEventListener("play", () => { timeline.follow = true; cancelAnimationFrame(frame); loop(); });
    player.addEventListener("pause", () => {
      if (player.paused) alone = null; // else it was played again before this was told
      cancelAnimationFrame(frame);
      draw();
    });
    for (const name of ["seeked", "timeupdate"]) player.addEventListener(name, draw);
    player.addEventListener("error", () => this.explain());
    signal.addEventListener("abort", () => {
      cancelAnimationFrame(frame);
      player.pause();
      player.removeAttribute("src");
      player.load();
    });
    editing.addEventListener("change", (event) => saved.later(/** @type {CustomEvent<Event[]>} */ (event).detail));
    saved.addEventListener("state", (event) => {
      const { state, text } = /** @type {CustomEvent<{state: string, text: string}>} */ (event).detail;
      this.state(state, text);
    });
    saved.addEventListener("meanwhile", (event) => this.choose(/** @type {CustomEvent<Version>} */ (event).detail));
    keys({ a: () => this.acceptAll(), ",": () => this.leave(this.clip.previous), ".": () => this.leave(this.clip.next) }, signal);
  }

  /** @param {string} state @param {string} text */
  state(state, text) {
    this.status.textContent = text;
    this.status.className = `stored ${state}`;
    this.again.hidden = state !== "failed";
  }

  /** @param {string|null} id another clip */
  leave(id) {
    if (id) this.go("correct", id);
  }

  /** Stores all events as they are, also where none was changed, and goes on. */
  async acceptAll() {
    if (!(await this.saved.now(this.editing.events))) return;
    const found = this.editing.history.now.events.length;
    this.tell(`${count(found, "event")} of ${this.clip.id} accepted${this.clip.next ? "" : "; this was the last clip"}.`);
    if (this.clip.next) this.go("correct", this.clip.next);
  }

  // --- somebody else --------------------------------------------------------------------------
  /** @param {Version} theirs */
  choose(theirs) {
    const mine = this.editing.history.now.events;
    const found = single(theirs.events);
    if (alike(found, mine)) {
      this.saved.takeTheirs(theirs);
      return;
    }
    const own = theirs.person === this.saved.person;
    const title = own ? "You stored this clip in another window" : `${theirs.person} stored this clip meanwhile`;
    const [there, here] = own ? ["The other version", "the one here"] : ["Their version", "yours"];
    const dialog = make("dialog", "card meanwhile", make("h2", "", title),
      make("p", "", `${there}, ${theirs.revision} (${when(theirs.time)}), has ${count(found.length, "event")}; ${here} has ${mine.length} and is not stored. Whatever you choose, the other one stays in the history or can be had back by Undo.`));
    dialog.setAttribute("aria-label", title);
    const keep = quiet(own ? "Keep this one" : "Keep mine", "", () => { dialog.close(); this.saved.keepMine(theirs); });
    const take = quiet(own ? "Take the other one" : "Take theirs", "", () => {
      dialog.close();
      this.editing.replace(theirs.events);
      this.editing.focus(); // what had the keyboard may be gone
      this.saved.takeTheirs(theirs);
    });
    dialog.append(make("div", "line", keep, take));
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // one of the two
    dialog.addEventListener("close", () => dialog.remove());
    document.querySelector("dialog.meanwhile")?.remove(); // about a version that is no longer the last one
    document.body.append(dialog);
    dialog.showModal();
    keep.focus();
  }

  // --- history --------------------------------------------------------------------------------
  /** @param {AbortSignal} signal */
  history(signal) {
    const list = make("ul", "");
    const menu = make("details", "menu", make("summary", "quiet", "History"), list);
    menu.addEventListener("toggle", async () => {
      if (!menu.open) return;
      list.replaceChildren(make("li", "", "\u2026"));
      /** @type {Array<{revision: number, person: string, time: number|string, events: number}>} */
      const versions = await this.api.get(this.api.path`/api/clips/${this.clip.id}/history`);
      const rows = [...versions].sort((a, b) => b.revision - a.revision).map((version) =>
        this.version(version.revision, `${version.revision}: ${version.person}, ${when(version.time)}, ${count(version.events, "event")}`, menu));
      list.replaceChildren(...rows, this.version(0, "Before any correction", menu));
    });
    closes(menu, signal);
    return menu;
  }

  /** @param {number} revision @param {string} text @param {HTMLDetailsElement} menu */
  version(revision, text, menu) {
    const node = quiet(text, "", async () => {
      menu.open = false;
      if (!(await this.saved.flush())) return;
      await this.revert(revision);
    });
    node.className = "";
    node.disabled = revision === this.saved.revision;
    node.title = node.disabled ? "This is what is stored" : "Go back to this version; it becomes the newest one";
    return make("li", "", node);
  }

  /** @param {number} to */
  async revert(to) {
    const { saved, clip } = this;
    /** @type {Version} */
    const version = await this.api.post(this.api.path`/api/clips/${clip.id}/revert`,
      { person: saved.person, base: saved.revision, classes: clip.classes, to });
    this.editing.replace(version.events);
    this.editing.focus();
    saved.takeTheirs(version);
    this.state("stored", `Back to ${to ? `version ${to}` : "what was before"}, stored as version ${version.revision}`);
  }
}

/** Whether two lists of audible and visible events say the same. @param {Event[]} a @param {Event[]} b */
function alike(a, b) {
  const [one, other] = [a, b].map((events) => JSON.stringify(sorted(events).map(({ c, m, s, e, p }) => [c, m, s, e, p])));
  return one === other;
}

/** @param {number} duration seconds */
function long(duration) {
  const whole = Math.round(duration);
  return duration < 90 ? `${Number(duration.toFixed(2))} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** @param {number|string} time seconds since 1970, or ISO 8601 */
function when(time) {
  const date = typeof time === "number" ? new Date(1000 * time) : new Date(time);
  return date.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}
