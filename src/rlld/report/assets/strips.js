// Waveform, spectrogram and film strip above the lanes, for what is in view.

import { element, SVG } from "./nodes.js";

/**
 * @typedef {{from: number, to: number}} Span seconds
 * @typedef {Span & {peaks: ArrayLike<number>}} Peaks least and largest of each bin in turn, -127 to 127
 * @typedef {Span & {url: string, count: number}} Film pictures of equal parts, side by side
 * @typedef {object} Sources Where they come from; what is missing is not drawn.
 * @property {(from: number, to: number, count: number, signal: AbortSignal) => Promise<Peaks|null>} [peaks]
 *   the signal fires when nobody waits for them any more
 * @property {(from: number, to: number) => Promise<(Span & {url: string})|null>} [spectrogram]
 * @property {(from: number, to: number, count: number) => Promise<Film|null>} [film]
 */

const REST = 160; // ms without a change of the view after which finer data are asked for
const ROUGH = 1.5; // times by which data may be coarser than wanted

/** @param {Span} have @param {Span} want */
const covers = (have, want) => have.from <= want.from + 1e-3 && have.to >= want.to - 1e-3;

/** Requests of one kind: the newest alone is waited for, and those before it are given up. */
class Newest {
  stop = new AbortController();
  /** @type {(Span & {span: number})|null} */ asked = null; // and for a view of how many seconds

  /**
   * @param {boolean} enough whether what is there will do
   * @param {Span} view
   * @param {Span} wide what to ask for
   * @param {(signal: AbortSignal) => Promise<void>} ask which takes nothing once the signal fired
   */
  async turn(enough, view, wide, ask) {
    const span = view.to - view.from;
    if (!enough && this.asked && covers(this.asked, view) && this.asked.span <= ROUGH * span) return;
    this.drop();
    if (enough) return;
    const own = this.asked = { ...wide, span };
    await ask(this.stop.signal);
    if (this.asked === own) this.asked = null;
  }

  drop() {
    this.stop.abort();
    this.stop = new AbortController();
    this.asked = null;
  }
}

export class Strips {
  /**
   * @param {HTMLElement} root
   * @param {number} duration seconds
   * @param {Sources} sources
   */
  constructor(root, duration, sources) {
    this.duration = duration;
    this.sources = sources;
    /** @type {Span} */ this.view = { from: 0, to: duration };
    this.width = 1000;
    this.resting = 0;
    /** @type {Peaks|null} */ this.peaks = null;
    /** @type {(Film & {image: HTMLImageElement})|null} */ this.film = null;
    /** @type {Span|null} */ this.heard = null;
    this.newest = { peaks: new Newest(), film: new Newest(), picture: new Newest() };
    if (sources.film) {
      this.canvas = element("canvas");
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", "Film strip");
      this.filmRow = this.row(root, "film", "Pictures", this.canvas);
    }
    if (sources.peaks) {
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", "0 -127 1000 254");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", "Waveform");
      this.wave = document.createElementNS(SVG, "path");
      svg.append(this.wave);
      this.waveRow = this.row(root, "wave", "Sound", svg);
    }
    if (sources.spectrogram) {
      this.picture = element("img");
      this.picture.alt = "Spectrogram";
      this.picture.hidden = true;
      this.pictureRow = this.row(root, "spectrogram", "Spectrum", this.picture);
    }
  }

  /** @param {HTMLElement} root @param {string} name @param {string} text @param {Element} shown */
  row(root, name, text, shown) {
    const row = element("div", `strip ${name}`, element("div", "name", element("span", "", text)), element("div", "band", shown));
    root.append(row);
    return row;
  }

  /**
   * Draws what there is for a view, and asks for finer data once the view rests.
   * @param {Span} view
   * @param {number} width pixels
   */
  draw(view, width) {
    this.view = view;
    this.width = width;
    this.drawWave();
    this.drawFilm();
    this.placePicture();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.fetch(), this.peaks || this.film ? REST : 0);
  }

  async fetch() {
    const { from, to } = this.view;
    const span = to - from;
    // A little more than what is in view, so that short ways need nothing new.
    const wide = { from: Math.max(0, from - span / 2), to: Math.min(this.duration, to + span / 2) };
    const length = wide.to - wide.from;
    await Promise.all([this.fetchPeaks(wide, length, span), this.fetchFilm(wide, length, span), this.fetchPicture(wide, span)]);
  }

  /** Gives up all that was asked for. */
  leave() {
    clearTimeout(this.resting);
    for (const kind of Object.values(this.newest)) kind.drop();
  }

  /** @param {Span} wide @param {number} length @param {number} span */
  async fetchPeaks(wide, length, span) {
    const have = this.peaks;
    const bin = have ? (have.to - have.from) / (have.peaks.length / 2) : Infinity;
    const { peaks: source } = this.sources;
    if (!source) return;
    const enough = have !== null && covers(have, this.view) && bin <= ROUGH * span / this.width;
    await this.newest.peaks.turn(enough, this.view, wide, async (signal) => {
      const peaks = await source(wide.from, wide.to, Math.round(this.width * length / span), signal);
      if (signal.aborted) return;
      if (this.waveRow && !peaks && !have) this.waveRow.hidden = true;
      this.peaks = peaks ?? have;
      this.drawWave();
    });
  }

  /** @param {Span} wide @param {number} length @param {number} span */
  async fetchFilm(wide, length, span) {
    const have = this.film;
    const slots = Math.max(4, Math.round(this.width / 80));
    const { film: source } = this.sources;
    if (!source) return;
    const enough = have !== null && covers(have, this.view) && (have.to - have.from) / have.count <= ROUGH * span / slots;
    await this.newest.film.turn(enough, this.view, wide, async (signal) => {
      const film = await source(wide.from, wide.to, Math.max(1, Math.round(slots * length / span)));
      if (signal.aborted || (film && film.url === have?.url)) return;
      const image = film && (await loaded(film.url, signal));
      if (signal.aborted) return;
      if (this.filmRow && !image && !have) this.filmRow.hidden = true;
      if (!film || !image) return;
      this.film = { ...film, image };
      this.drawFilm();
    });
  }

  /** @param {Span} wide @param {number} span */
  async fetchPicture(wide, span) {
    const { heard: have, picture } = this;
    const { spectrogram: source } = this.sources;
    if (!source || !picture) return;
    const enough = have !== null && covers(have, this.view) && have.to - have.from <= 2 * ROUGH * span;
    await this.newest.picture.turn(enough, this.view, wide, async (signal) => {
      const found = await source(wide.from, wide.to);
      const next = found && !signal.aborted ? await loaded(found.url, signal) : null;
      if (signal.aborted) return;
      if (this.pictureRow && !next && !have) this.pictureRow.hidden = true;
      if (!next) return;
      picture.src = next.src;
      picture.hidden = false;
      this.heard = found;
      this.placePicture();
    });
  }

  /** @param {number} t seconds */
  percent(t) {
    return `${100 * t / this.duration}%`;
  }

  /** @param {HTMLElement|SVGElement|undefined|null} node @param {Span} span */
  lay(node, { from, to }) {
    if (!node) return;
    node.style.left = this.percent(from);
    node.style.width = this.percent(to - from);
  }

  drawWave() {
    const { peaks, wave } = this;
    if (!peaks || !wave) return;
    const { from, to } = this.view;
    const count = peaks.peaks.length / 2;
    const columns = Math.min(Math.round(this.width), 3000);
    const above = [];
    const below = [];
    for (let x = 0; x < columns; x += 1) {
      const at = ((from + (x / columns) * (to - from)) - peaks.from) / (peaks.to - peaks.from) * count;
      const end = ((from + ((x + 1) / columns) * (to - from)) - peaks.from) / (peaks.to - peaks.from) * count;
      let [low, high] = [0, 0];
      if (at >= 0 && at < count) [low, high] = [127, -127];
      for (let k = Math.max(0, Math.floor(at)); k < Math.min(count, Math.max(end, Math.floor(at) + 1)); k += 1) {
        low = Math.min(low, peaks.peaks[2 * k]);
        high = Math.max(high, peaks.peaks[2 * k + 1]);
      }
      const place = (1000 * (x + 0.5) / columns).toFixed(1);
      above.push(`${place} ${(-high - 0.7).toFixed(1)}`);
      below.push(`${place} ${(-low + 0.7).toFixed(1)}`);
    }
    wave.setAttribute("d", `M${above.join("L")}L${below.reverse().join("L")}Z`);
    this.lay(/** @type {SVGElement} */ (wave.parentNode), this.view);
  }

  drawFilm() {
    const { film, canvas } = this;
    if (!film || !canvas) return;
    const { from, to } = this.view;
    this.lay(canvas, this.view);
    const high = canvas.clientHeight || 48;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(high * scale);
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const each = film.image.naturalWidth / film.count;
    const wide = Math.max(8, each / film.image.naturalHeight * canvas.height);
    const pace = canvas.width / (to - from);
    // Slots stand still in time, so that pictures scroll and do not swim.
    for (let slot = Math.floor(from * pace / wide); slot * wide < to * pace; slot += 1) {
      const t = clampTo((slot + 0.5) * wide / pace, film);
      const k = Math.min(film.count - 1, Math.floor((t - film.from) / (film.to - film.from) * film.count));
      pen.drawImage(film.image, k * each, 0, each, film.image.naturalHeight, slot * wide - from * pace, 0, wide - scale, canvas.height);
    }
  }

  placePicture() {
    if (this.heard) this.lay(this.picture, this.heard);
  }
}

/** @param {number} t @param {Span} span */
const clampTo = (t, { from, to }) => Math.min(to - 1e-6, Math.max(from, t));

/**
 * A picture that can be drawn; null where there is none, or nobody waits for it any more.
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function loaded(url, signal) {
  const image = new Image();
  const stop = () => { image.src = ""; }; // which ends the request
  signal.addEventListener("abort", stop);
  image.src = url;
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
