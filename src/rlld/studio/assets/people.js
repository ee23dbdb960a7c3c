// Who answered what, how well they agree, and where they do not.

import { button, count, icon, keys, make, plain } from "./dom.js";
import { trim } from "./nodes.js";
import { Player } from "./player.js";

/** @typedef {import("./api.js").Context} Context */
/** @typedef {{video: string, class: string, modality: "audio"|"visual",
 *   answers?: Record<string, boolean>, spans?: Record<string, Array<[number, number]>>, at?: number, end?: number}} Disagreement of answers, or of events */
/** @typedef {{people: string[], pairs: Array<{a: string, b: string, common: number, kappa: number|null}>, alpha: number|null, items: number}} Agreement */
/** @typedef {Agreement & {events: Record<"audio"|"visual", Agreement>, corrected: Record<string, number>}} Agreements */

const WORDS = { audio: "heard", visual: "seen" };

/** How Landis and Koch call a kappa. @param {number} kappa */
const called = (kappa) => (
  kappa < 0 ? "poor" : kappa <= 0.2 ? "slight" : kappa <= 0.4 ? "fair" : kappa <= 0.6 ? "moderate"
    : kappa <= 0.8 ? "substantial" : "almost perfect");

/** Where all said one and the same of everything, no agreement is beyond chance. @param {number|null} value */
const figure = (value) => (value === null ? "all the same" : value.toFixed(2));

/** @param {Disagreement} item */
const keyOf = ({ video, class: label, modality, spans }) => JSON.stringify([video, label, modality, Boolean(spans)]);

/** The disagreements in the order in which they were put, also for who comes back from a clip. @type {string[]} */
let order = [];

/** @param {Disagreement[]} items */
function ordered(items) {
  const places = new Map(order.map((key, k) => [key, k]));
  /** @param {Disagreement} item */
  const place = (item) => places.get(keyOf(item)) ?? places.size;
  return items.sort((a, b) => place(a) - place(b));
}

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function people(root, { api, person, signal, state, tell, refresh }) {
  /** @type {Agreements} */
  let agreement;
  /** @type {Disagreement[]} */
  let queue;
  const load = async () => {
    const [measured, found] = await Promise.all([api.get("/api/agreement"), api.get("/api/disagreements")]);
    agreement = measured;
    queue = ordered(found);
  };
  await load();
  if (signal.aborted) return;
  const dispute = make("section", "card dispute");
  dispute.setAttribute("aria-label", "Disagreements");
  dispute.tabIndex = -1; // holds the keyboard where no button is left
  const card = make("section", "card");
  root.append(dispute, card);
  /** @type {Player|null} */
  let player = null;
  signal.addEventListener("abort", () => player?.drop());
  draw();
  measure();

  function measure() {
    card.replaceChildren(...who(), ...agreed(agreement));
  }

  function who() {
    if (!state.people.length) return [make("h2", "", "Who answered and corrected"), make("p", "facts", "Nobody yet.")];
    const body = make("tbody", "", ...state.people.map((name) => make("tr", "",
      heading(name), make("td", "n", (state.by_person[name] || 0).toLocaleString("en")),
      make("td", "n", (agreement.corrected[name] || 0).toLocaleString("en")))));
    return [make("h2", "", "Who answered and corrected"), table(["Name", "Answers", "Clips corrected"], body)];
  }

  /** @param {Agreements} all */
  function agreed(all) {
    /** @type {Array<[string, Agreement]>} */
    const every = [["question", all], ["audible segment", all.events.audio], ["visible segment", all.events.visual]];
    const kinds = every.filter(([, { pairs }]) => pairs.length);
    if (!kinds.length) return [make("p", "facts", "Agreement is measured once two people answered the same question or corrected the same clip.")];
    const rows = kinds.flatMap(([name, { pairs }]) => pairs.map((pair) => make("tr", "", heading(`${pair.a}, ${pair.b}`),
      make("td", "n", count(pair.common, name)), make("td", "n", figure(pair.kappa)),
      make("td", "", pair.kappa === null ? "" : called(pair.kappa)))));
    const alphas = kinds.map(([name, { alpha, items }]) => `${figure(alpha)} over ${count(items, name)}`);
    return [make("h2", "", "How well they agree"),
      table(["Pair", "In common", "Kappa", ""], make("tbody", "", ...rows)),
      make("p", "facts", `Cohen's kappa of each pair. Krippendorff's alpha of all who judged the same: ${alphas.join(", ")}.`)];
  }

  // --- the queue ----------------------------------------------------------------------------
  /** Draws the first disagreement; a keyboard that was on a button goes on with its like. */
  function draw() {
    const held = dispute.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-keyshortcuts") : null;
    put();
    if (held) /** @type {HTMLElement} */ (dispute.querySelector(`[aria-keyshortcuts="${held}"]`) ?? dispute).focus({ preventScroll: true });
  }

  function put() {
    player?.drop();
    player = null;
    order = queue.map(keyOf);
    const [item] = queue;
    if (!item) {
      dispute.replaceChildren(make("h1", "", "No disagreement"), make("p", "facts", "What two people answer or mark differently waits here."));
      return;
    }
    player = new Player({ video: item.video, at: item.at ?? 0, end: item.end ?? null });
    const word = WORDS[item.modality];
    const said = make("ul", "said", ...views(item).map(([name, view]) => make("li", "", make("b", "", name), make("span", "", view))));
    const link = make("a", item.spans ? "quiet main" : "quiet", item.spans ? "Correct" : "Look closer");
    link.href = `#/correct/${encodeURIComponent(item.video)}`;
    const title = make("h1", "question", make("b", "", plain(item.class)), make("span", "", icon(item.modality), item.spans ? `When is it ${word}?` : `Is it ${word}?`));
    const choices = item.spans ? [] : [button(`Yes, ${word}`, "Y", () => settle(true)), button(`No, not ${word}`, "N", () => settle(false))];
    dispute.replaceChildren(make("p", "facts", `${queue.length.toLocaleString("en")} left: ${item.video}`), player.node, title, said,
      make("div", "line", ...choices, button("Later", "L", later), button("Replay", "Space", () => player?.play()), link));
    player.play();
  }

  let busy = false;
  /** @param {boolean} yes */
  async function settle(yes) {
    const [item] = queue;
    if (!item || item.spans || busy) return;
    busy = true;
    try {
      await api.post("/api/answers", { person, video: item.video, class: item.class, audio: null, visual: null,
        [item.modality]: yes, probability: null, unsure: false });
      order = [...queue.filter((other) => other !== item), item].map(keyOf); // it may stand still
      [state] = await Promise.all([refresh(), load()]);
      const left = queue.find((other) => keyOf(other) === keyOf(item));
      const others = Object.entries(left?.answers ?? {}).filter(([, said]) => said !== yes).map(([name]) => name);
      tell(`${plain(item.class)}: your answer is stored. `
        + (left ? `You and ${others.join(", ")} still differ.` : "What others said stays as it was."));
      if (signal.aborted) return;
      draw();
      measure();
    } finally {
      busy = false;
    }
  }

  function later() {
    queue.push(...queue.splice(0, 1));
    draw();
  }

  keys({ y: () => settle(true), n: () => settle(false), l: later, " ": () => player?.play() }, signal);
}

/** What each person says, in words. @param {Disagreement} item @returns {Array<[string, string]>} */
function views({ answers, spans, modality }) {
  const word = WORDS[modality];
  if (!spans) return Object.entries(answers ?? {}).map(([name, yes]) => [name, yes ? word : `not ${word}`]);
  return Object.entries(spans).map(([name, own]) => [name, own.length ? own.map(([s, e]) => `${trim(s)} to ${trim(e)} s`).join(", ") : `not ${word}`]);
}

/** @param {string} name */
function heading(name) {
  const cell = make("th", "", name);
  cell.scope = "row";
  return cell;
}

/** @param {string[]} names @param {HTMLElement} body */
function table(names, body) {
  const head = make("tr", "", ...names.map((name, k) => {
    const cell = make(name ? "th" : "td", k ? "n" : "", name);
    if (name) cell.setAttribute("scope", "col");
    return cell;
  }));
  return make("table", "", make("thead", "", head), body);
}
