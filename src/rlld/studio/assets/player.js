// A moment of a clip: plays from `at` to `end`, or the whole clip around it; is loaded before it is needed.

import { api } from "./api.js";
import { icon, make } from "./dom.js";

/** @typedef {{at: number, end: number|null}} Span an end of null is that of the clip */
/** @typedef {Span & {video: string}} Moment */

/** @type {Span} */
export const WHOLE = { at: 0, end: null };

export class Player {
  /** @param {Moment} moment */
  constructor(moment) {
    this.moment = moment;
    /** @type {Span} */
    this.span = moment;
    this.source = api.path`/media/${moment.video}`;
    this.node = make("div", "screen");
    this.clip = make("video");
    this.clip.preload = "auto";
    this.clip.playsInline = true;
    this.clip.disablePictureInPicture = true;
    this.clip.src = this.source;
    this.clip.setAttribute("aria-label", `Clip ${moment.video}`);
    this.clip.addEventListener("loadedmetadata", () => {
      this.clip.currentTime = this.span.at;
      if (!this.clip.videoWidth && !this.node.querySelector(".icon")) this.node.prepend(icon("audio"));
    });
    this.clip.addEventListener("error", () => this.explain());
    this.clip.addEventListener("click", () => this.play());
    this.note = make("p", "notes");
    this.note.setAttribute("role", "status");
    this.note.hidden = true;
    this.line = make("i");
    this.node.append(this.clip, this.note, make("span", "moment", this.line));
    this.frame = 0;
  }

  /** Plays from the start. @param {Span} [span] the moment where it is left out */
  async play(span = this.moment) {
    cancelAnimationFrame(this.frame);
    this.span = span;
    if (this.clip.error) this.clip.load(); // it may be back, or the studio
    this.clip.currentTime = span.at;
    try {
      await this.clip.play();
    } catch {
      if (!this.clip.error) this.say("Press Space to play: the browser waits for a key before it makes a sound.");
      return;
    }
    this.say("");
    this.follow();
  }

  follow() {
    const { at } = this.span;
    const end = Math.min(this.span.end ?? Infinity, this.clip.duration); // a moment may reach beyond its clip
    const t = this.clip.currentTime;
    if (t >= end) this.clip.pause();
    this.line.style.width = `${100 * Math.min(1, Math.max(0, (t - at) / (end - at)))}%`;
    if (!this.clip.paused) this.frame = requestAnimationFrame(() => this.follow());
  }

  /** Stops, and lets the browser forget the clip. */
  drop() {
    cancelAnimationFrame(this.frame);
    this.clip.pause();
    this.clip.removeAttribute("src");
    this.clip.load();
    this.node.remove();
  }

  async explain() {
    if (!this.clip.hasAttribute("src")) return;
    const refusal = await api.refusal(this.source);
    this.say(refusal || "The browser cannot play this clip.");
  }

  /** @param {string} sentence */
  say(sentence) {
    this.note.hidden = !sentence;
    this.note.textContent = sentence; // said aloud only where it is in sight
  }
}
