// The page of a parse: the clip beside its timeline, a table of events, and files to take along.

import { FORMATS } from "./exports.js";
import { closes, element, NAMES, sign } from "./nodes.js";
import { probability, segmentAt } from "./parsed.js";
import { Timeline } from "./timeline.js";

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {import("./exports.js").Held & import("./parsed.js").Parsed & {strips: {peaks: string|null, film: {url: string, count: number}|null}}} */
const data = JSON.parse($("data").textContent ?? "");
const clip = /** @type {HTMLMediaElement|null} */ (document.getElementById("clip"));
const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#table tbody tr")]);

// --- what the clip looks and sounds like --------------------------------------------------------
/** @returns {import("./strips.js").Sources} */
function sources() {
  const { peaks, film } = data.strips;
  const whole = { from: 0, to: data.duration };
  /** @type {import("./strips.js").Sources} */
  const found = {};
  if (peaks) {
    const held = { ...whole, peaks: Int8Array.from(atob(peaks), (letter) => letter.charCodeAt(0)) };
    found.peaks = () => Promise.resolve(held);
  }
  if (film) found.film = () => Promise.resolve({ ...whole, ...film });
  return found;
}

const timeline = new Timeline($("timeline"), data, { sources: sources() });

// --- time ---------------------------------------------------------------------------------------
let still = 0; // the time of a page without a clip
const now = () => (clip ? clip.currentTime : still);

timeline.addEventListener("seek", (event) => {
  const time = /** @type {CustomEvent<number>} */ (event).detail;
  // The last frame ends with the clip; stay before it so that there is a picture.
  if (clip) clip.currentTime = Math.min(time, Math.max(0, (clip.duration || data.duration) - 0.001));
  else still = time;
  draw(time);
});
timeline.addEventListener("toggle", () => {
  if (!clip) return;
  if (clip.paused) clip.play().catch(() => { $("broken").hidden = false; });
  else clip.pause();
});

let shown = "";
/** @param {number} t seconds */
function draw(t) {
  timeline.draw(t);
  $("time").textContent = timeline.clock(t);
  const k = segmentAt(data, t);
  const current = timeline.active(t);
  const state = `${k} ${current.map((event) => data.events.indexOf(event))}`;
  if (state === shown) return;
  shown = state;
  rows.forEach((row, n) => row.classList.toggle("on", current.includes(data.events[n])));
  const items = current.map((event) => element("li", event.m, sign(event.m), element("b", "", data.classes[event.c]),
    element("span", "", NAMES[event.m]), element("span", "p", probability(data, event.c, event.m, k).toFixed(2))));
  $("now").replaceChildren(...(items.length ? items : [element("li", "none", "no event")]));
}
rows.forEach((row) => row.addEventListener("click", () => timeline.seek(Number(row.dataset.start))));

if (clip) {
  let frame = 0;
  const loop = () => {
    draw(now());
    frame = requestAnimationFrame(loop);
  };
  clip.addEventListener("play", () => { timeline.follow = true; cancelAnimationFrame(frame); loop(); });
  clip.addEventListener("pause", () => { cancelAnimationFrame(frame); draw(now()); });
  for (const name of ["seeking", "seeked", "timeupdate", "loadedmetadata"]) clip.addEventListener(name, () => draw(now()));
  clip.addEventListener("error", () => { $("broken").hidden = false; });
  if (clip.error) $("broken").hidden = false;
}

// --- files to take along ------------------------------------------------------------------------
const menu = /** @type {HTMLDetailsElement} */ ($("export"));
for (const [name, suffix, made] of FORMATS) {
  const button = element("button", "", name);
  button.type = "button";
  button.addEventListener("click", () => {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([made(data)], { type: "text/plain;charset=utf-8" }));
    link.download = `${data.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._ -]+/gu, "_") || "events"}.${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
  menu.querySelector("ul")?.append(element("li", "", button));
}
closes(menu);

// --- light and dark -----------------------------------------------------------------------------
const THEMES = ["system", "light", "dark"];
let theme = "system";
try { theme = localStorage.getItem("rlld-theme") || theme; } catch { /* storage is off */ }
/** @param {string} name */
function setTheme(name) {
  theme = THEMES.includes(name) ? name : "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Theme: ${theme}`;
  try { localStorage.setItem("rlld-theme", theme); } catch { /* storage is off */ }
}
$("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % 3]));

setTheme(theme);
draw(now());
