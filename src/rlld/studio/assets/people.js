// Who answered what, how well they agree, and where they do not.

import { button, count, icon, keys, make, plain } from "./dom.js";
import { Player } from "./player.js";

/** @typedef {import("./api.js").Context} Context */
/** @typedef {{video: string, class: string, modality: "audio"|"visual", answers: Record<string, boolean>, at?: number, end?: number}} Disagreement */
/** @typedef {{people: string[], pairs: Array<{a: string, b: string, common: number, kappa: number|null}>, alpha: number|null, items: number}} Agreement */

const WORDS = { audio: "heard", visual: "seen" };

/** How Landis and Koch call a kappa. @param {number} kappa */
const called = (kappa) => (
  kappa < 0 ? "poor" : kappa <= 0.2 ? "slight" : kappa <= 0.4 ? "fair" : kappa <= 0.6 ? "moderate"
    : kappa <= 0.8 ? "substantial" : "almost perfect");

/** @param {number|null} value */
const figure = (value) => (value === null ? "-" : value.toFixed(2));

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function people(root, { api, person, signal, state, tell, refresh }) {
  /** @type {[Agreement, Disagreement[]]} */
  const [agreement, queue] = await Promise.all([api.get("/api/agreement"), api.get("/api/disagreements")]);
  if (signal.aborted) return;
  const dispute = make("section", "card dispute");
  dispute.setAttribute("aria-label", "Disagreements");
  root.append(dispute, make("section", "card", ...who(), ...agreed(agreement)));
  /** @type {Player|null} */
  let player = null;
  signal.addEventListener("abort", () => player?.drop());
  draw();

  function who() {
    if (!state.people.length) return [make("h2", "", "Who answered"), make("p", "facts", "Nobody yet.")];
    const body = make("tbody", "", ...state.people.map((name) => make("tr", "",
      heading(name), make("td", "n", (state.by_person[name] || 0).toLocaleString("en")))));
    return [make("h2", "", "Who answered"), table(["Name", "Answers"], body)];
  }

  /** @param {Agreement} all */
  function agreed({ pairs, alpha, items }) {
    if (!pairs.length) return [make("p", "facts", "Agreement is measured once two people answered the same question.")];
    const body = make("tbody", "", ...pairs.map((pair) => make("tr", "", heading(`${pair.a}, ${pair.b}`),
      make("td", "n", String(pair.common)), make("td", "n", figure(pair.kappa)),
      make("td", "", pair.kappa === null ? "" : called(pair.kappa)))));
    return [make("h2", "", "How well they agree"),
      table(["Pair", "In common", "Cohen's kappa", ""], body),
      make("p", "facts", `Krippendorff's alpha of all: ${figure(alpha)}, over ${count(items, "question")} that two or more answered.`)];
  }

  // --- the queue ----------------------------------------------------------------------------
  function draw() {
    player?.drop();
    player = null;
    const [item] = queue;
    if (!item) {
      dispute.replaceChildren(make("h1", "", "No disagreement"), make("p", "facts", "What two people answered differently waits here."));
      return;
    }
    player = new Player({ video: item.video, at: item.at ?? 0, end: item.end ?? null });
    const word = WORDS[item.modality];
    const said = make("ul", "said", ...Object.entries(item.answers).map(([name, yes]) => make("li", yes ? "yes" : "no",
      make("b", "", name), make("span", "", yes ? word : `not ${word}`))));
    const link = make("a", "quiet", "Look closer");
    link.href = `#/correct/${encodeURIComponent(item.video)}`;
    const title = make("h1", "question", make("b", "", plain(item.class)), make("span", "", icon(item.modality), `Is it ${word}?`));
    dispute.replaceChildren(make("p", "facts", `1 of ${count(queue.length, "disagreement")}`), player.node, title, said,
      make("div", "line", button(`Yes, ${word}`, "Y", () => settle(true)), button(`No, not ${word}`, "N", () => settle(false)),
        button("Later", "L", later), button("Replay", "Space", () => player?.play()), link));
    player.play();
  }

  let busy = false;
  /** @param {boolean} yes */
  async function settle(yes) {
    const [item] = queue;
    if (!item || busy) return;
    busy = true;
    try {
      await api.post("/api/answers", { person, video: item.video, class: item.class, audio: null, visual: null,
        [item.modality]: yes, probability: null, unsure: false });
      queue.shift();
      tell(`${plain(item.class)}: your answer is stored. What others said stays as it was.`);
      draw();
      await refresh();
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
