// Events as files, by the rules of `rlld export`: what the page writes, rlld reads.

/**
 * @typedef {import("./edits.js").Modality} Modality
 * @typedef {{label: string, m: Modality, s: number, e: number, p: number}} Named an event with its class as it is written
 * @typedef {object} Held What a page holds of a parse.
 * @property {string} name
 * @property {number} duration
 * @property {number} step
 * @property {string[]} labels class names as they are written
 * @property {number[][][]} probabilities thousandths by sound and sight, class, segment
 * @property {number[][]} gates
 * @property {string[]|null} tags
 * @property {string[]} notes
 * @property {string} model
 * @property {Array<{c: number, m: Modality, s: number, e: number, p: number}>} events
 */

const SPOKEN = { audio: "audible", visual: "visible", audio_visual: "audio-visual" };

/** @param {Held} held @returns {Named[]} */
const named = (held) => held.events.map((event) => ({ ...event, label: held.labels[event.c] }));

/** By code points, as Python compares. @param {string} a @param {string} b */
function compared(a, b) {
  const [x, y] = [[...a], [...b]];
  for (let k = 0; k < Math.min(x.length, y.length); k += 1) {
    const less = (x[k].codePointAt(0) ?? 0) - (y[k].codePointAt(0) ?? 0);
    if (less) return less;
  }
  return x.length - y.length;
}

/** Audible and visible events, as programs take them in which people move edges. @param {Held} held */
const lanesOf = (held) => named(held).filter((event) => event.m !== "audio_visual")
  .sort((a, b) => a.s - b.s || a.e - b.e || compared(a.label, b.label) || compared(a.m, b.m));

/** Rounds halves to even, as Python does. @param {number} x */
function even(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 ? low + 1 : low;
}

/** @param {Named} event @param {number} rate ticks per second */
function ticksOf(event, rate) {
  const first = even(event.s * rate);
  return [first, Math.max(first + 1, even(event.e * rate))];
}

/** A number as Python writes it. @param {number} x */
export function number(x) {
  if (x === 0 || Math.abs(x) >= 1e-4) return String(x);
  return x.toExponential().replace(/e-(\d)$/, "e-0$1");
}

/** @param {string[]} cells */
function sheetRow(cells) {
  // A spreadsheet would take such a cell for a formula.
  const guarded = cells.map((cell) => (/^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell));
  const every = guarded.some((cell) => cell.includes("\r"));
  const written = guarded.map((cell) => (every || /[\t"\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell));
  return `${written.join("\t")}\n`;
}

/** @param {Held} held */
export function csv(held) {
  const known = held.tags ? [held.tags.join(",")] : [];
  const header = ["filename", "onset", "offset", "event_labels", "modality", "confidence"];
  const rows = named(held).map((event) =>
    [held.name, number(event.s), number(event.e), event.label, event.m, number(event.p), ...known]);
  return [held.tags ? [...header, "known_tags"] : header, ...rows].map(sheetRow).join("");
}

/** @param {number} ticks milliseconds */
function cueTime(ticks) {
  const seconds = Math.floor(ticks / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${parts.map((n) => String(n).padStart(2, "0")).join(":")}.${String(ticks % 1000).padStart(3, "0")}`;
}

/** @param {Held} held */
export function webvtt(held) {
  const cues = lanesOf(held).map((event) => {
    const [first, last] = ticksOf(event, 1000).map(cueTime);
    const label = event.label.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return `\n${first} --> ${last}\n<v ${SPOKEN[event.m]}>${label}</v>\n`;
  });
  return ["WEBVTT\n", ...cues].join("");
}

/** @param {Held} held */
export function audacity(held) {
  return lanesOf(held).map((event) => {
    const [first, last] = ticksOf(event, 1e6).map((tick) => `${Math.floor(tick / 1e6)}.${String(tick % 1e6).padStart(6, "0")}`);
    return `${first}\t${last}\t${`${event.m}: ${event.label}`.replace(/[\t\r\n]+/g, " ")}\n`;
  }).join("");
}

/** The whole parse; probabilities to the thousandth that the page holds. @param {Held} held */
export function json(held) {
  const [audio, visual] = held.probabilities;
  const parse = {
    format: "rlld.parse",
    version: 1,
    name: held.name,
    duration: held.duration,
    segment_seconds: held.step,
    classes: held.labels,
    events: named(held).map(({ label, m, s, e, p }) => ({ label, modality: m, start: s, end: e, confidence: p })),
    probabilities: audio[0].map((_, k) => [audio, visual].map((track) => track.map((row) => row[k] / 1000))),
    gates: held.gates,
    tags: held.tags,
    notes: held.notes,
    model: held.model,
  };
  return `${JSON.stringify(parse)}\n`;
}

/** @type {Array<[string, string, (held: Held) => string]>} what it is called, its suffix, how it is made */
export const FORMATS = [
  ["JSON (rlld)", "json", json],
  ["Table (csv, tab-separated)", "csv", csv],
  ["WebVTT subtitles", "vtt", webvtt],
  ["Audacity labels", "txt", audacity],
];
