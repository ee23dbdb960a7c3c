// What the answers change: train again, compare, write into the data set, hand on.

import { Refused } from "./api.js";
import { button, choice, count, icon, make, plain } from "./dom.js";

/** @typedef {import("./api.js").Context} Context */
/** @typedef {import("./api.js").Job} Job */
/** @typedef {import("./api.js").Changed} Changed */

const EVERY = 1000; // ms between looks at a running training
const SAVING = "Saving where it is, to go on from there.";
const LOST = "The studio does not answer; trying again.";
const FIRST = 50; // changed labels that are listed at once
const HEADS = { done: "Trained again", failed: "The training failed", cancelled: "The training was cancelled", running: "Training" };
const ENDS = { done: "The training is done: the scores are here.", failed: "The training failed: the reason is here.", cancelled: "The training was cancelled.", running: "" };
const AGAIN = { done: "Train once more", failed: "Try again", cancelled: "Go on", running: "" };
const WORDS = { audio: "heard", visual: "seen" };

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function train(root, { api, signal, tell, state, refresh }) {
  const panel = make("section", "card job");
  panel.setAttribute("aria-label", "Training");
  root.append(panel, writing(), exporting());

  // --- training -----------------------------------------------------------------------------
  /** @type {Job|null} */
  let job = await api.get("/api/train");
  let watching = false;
  let ending = false; // it takes some seconds to save the state
  draw();
  if (job?.state === "running") watch();

  async function start() {
    try {
      job = await api.post("/api/train", {});
    } catch (error) {
      job = await api.get("/api/train"); // which another window may have begun
      throw error;
    } finally {
      draw();
      if (job?.state === "running") watch();
    }
  }

  async function cancel() {
    ending = true;
    if (job) update(job);
    try {
      job = await api.remove("/api/train");
    } finally {
      ending = false;
    }
    draw();
  }

  async function watch() {
    if (watching) return;
    watching = true;
    let lost = false;
    while (!signal.aborted && job?.state === "running") {
      await new Promise((done) => { setTimeout(done, EVERY); });
      if (signal.aborted) return;
      try {
        job = /** @type {Job|null} */ (await api.get("/api/train"));
        lost = false;
        if (job?.state === "running") update(job);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (lost || signal.aborted) continue; // it was told, once
        lost = true;
        tell(LOST);
        if (job) update({ ...job, text: LOST }); // which stays there: whether it still runs is not known
      }
    }
    watching = false;
    if (signal.aborted) return;
    draw();
    if (job) tell(ENDS[job.state]);
    await refresh();
  }

  /** @param {Job} running */
  function update(running) {
    const bar = /** @type {HTMLProgressElement|null} */ (panel.querySelector("progress"));
    const text = panel.querySelector(".doing");
    if (bar) bar.value = running.progress;
    if (text) text.textContent = ending ? SAVING : running.text;
  }

  /** Draws the training anew; a keyboard that was in it stays in it. */
  function draw() {
    const inside = panel.contains(document.activeElement);
    panel.replaceChildren(...shown());
    if (inside) panel.querySelector("button")?.focus();
  }

  /** @returns {HTMLElement[]} */
  function shown() {
    const given = [state.answered && count(state.answered, "answer"), state.corrected && count(state.corrected, "corrected clip")].filter(Boolean);
    const taught = given.length ? `With ${given.join(" and ")} of ${count(state.counted, "person", "people")}.` : "Nothing was answered or corrected yet.";
    const head = make("h1", "", job ? HEADS[job.state] : "Train again");
    const told = [head];
    if (job?.state === "running") {
      const bar = make("progress");
      bar.max = 1;
      bar.value = job.progress;
      bar.setAttribute("aria-label", "Training");
      return [head, bar, make("p", "facts doing", job.text), make("div", "line", button("Cancel", "", cancel)), ...results(job)];
    }
    if (job?.state === "failed") told.push(make("p", "notes", job.error || "It ended without a word."));
    if (job?.state === "cancelled") told.push(make("p", "notes", job.text));
    const again = button(job ? AGAIN[job.state] : "Train", "", start, "quiet main");
    told.push(make("p", "facts", `${taught} It runs in the background; go on answering meanwhile.`));
    if (state.stop) told.push(make("p", "facts", plain(state.stop)));
    return [...told, make("div", "line", again), ...(job ? results(job) : [])];
  }

  /**
   * What the newest finished training came to, whatever became of a later one.
   * @param {Job} done
   */
  function results(done) {
    const parts = [];
    if (done.scored !== null && done.scored !== done.run) parts.push(make("h2", "", `Training ${done.scored}, before that`));
    if (done.after) parts.push(scores(done, done.after));
    else if (done.on) parts.push(make("p", "notes", `There are no scores: ${done.on}.`));
    const labels = done.changed;
    if (!labels) return parts;
    const head = make("h2", "", labels.length ? `${count(labels.length, "label")} changed ${labels.length === 1 ? "its" : "their"} mind` : "No label changed its mind");
    const list = make("ul", "changed", ...labels.slice(0, FIRST).map(mind));
    parts.push(head, list);
    if (labels.length > FIRST) {
      const rest = button(`Show all ${labels.length}`, "", () => {
        list.append(...labels.slice(FIRST).map(mind));
        rest.remove();
        list.children[FIRST].querySelector("a")?.focus();
      });
      parts.push(rest);
    }
    return parts;
  }

  /** @param {Changed} label */
  function mind(label) {
    const was = label.before ? "was " : "was not ";
    const now = label.after ? `now ${WORDS[label.modality]}` : `now not ${WORDS[label.modality]}`;
    const link = make("a", "", make("b", "", plain(label.class)), icon(label.modality),
      make("span", "", `${was}${WORDS[label.modality]}, ${now}`), make("small", "", label.video));
    link.href = `#/correct/${encodeURIComponent(label.video)}`;
    return make("li", "", link);
  }

  // --- into the data set --------------------------------------------------------------------
  function writing() {
    const said = make("p", "facts", "Answers and corrected events become annotation files of the data set, which every training reads and rlld data check checks.");
    said.setAttribute("aria-live", "polite");
    const write = async () => {
      const written = await api.post("/api/write", {});
      said.textContent = written.text || `Written: ${count(written.answers, "answer")}, ${count(written.corrected, "corrected clip")}.`;
    };
    return make("section", "card", make("h2", "", "Write into the data set"), said,
      make("div", "line", button("Write", "", write)));
  }

  // --- on to the editor ---------------------------------------------------------------------
  function exporting() {
    const { formats } = state;
    const chosen = { format: formats[0][0], what: "corrected" };
    const save = async () => {
      start.disabled = true;
      said.textContent = `Exporting ${count(chosen.what === "all" ? state.data.clips : state.corrected, "clip")}\u2026`;
      try {
        const { name, lacking } = await api.download("/api/export", { ...chosen });
        tell(`${name} was saved${lacking && `, ${lacking}`}.`);
      } finally {
        said.textContent = "";
        start.disabled = false;
        if (document.activeElement === document.body) start.focus(); // which it lost meanwhile
      }
    };
    const start = button("Export", "", save);
    const said = make("p", "facts");
    said.setAttribute("aria-live", "polite");
    const about = make("p", "facts", formats[0][1]);
    about.setAttribute("aria-live", "polite");
    /** @param {string} value */
    const choose = (value) => {
      chosen.format = value;
      about.textContent = formats.find(([name]) => name === value)?.[1] ?? "";
    };
    return make("section", "card", make("h2", "", "Export events"), about,
      make("div", "line",
        choice("Format", formats.map(([name]) => [name, name]), chosen.format, choose),
        choice("Clips", [["corrected", "corrected clips"], ["all", "all clips"]], chosen.what, (value) => { chosen.what = value; }),
        start), said);
  }
}

/**
 * The scores of both runs side by side.
 * @param {Job} done
 * @param {import("./api.js").Scores} after
 */
function scores({ before, gains, on }, after) {
  const head = make("tr", "", cell("th", "", "Score"), cell("th", "n", "Before"), cell("th", "n", "After"), cell("th", "n", "Change"));
  const body = Object.keys(after).map((name) => {
    const was = before?.[name];
    const gain = was === undefined ? "" : signed(after[name] - was);
    const sure = gains?.[name]; // colour is for what other clips would say, too
    const change = cell("td", `n ${sure?.clear ? (sure.low > 0 ? "better" : "worse") : ""}`, gain);
    if (sure) change.append(" ", make("small", "", `${signed(sure.low)}\u00a0to\u00a0${signed(sure.high)}`));
    return make("tr", "", cell("th", "", spoken(name)), cell("td", "n", was === undefined ? "-" : was.toFixed(1)),
      cell("td", "n", after[name].toFixed(1)), change);
  });
  const table = make("table", "scores", make("thead", "", head), make("tbody", "", ...body));
  const small = gains ? " Small: the 95 % interval of the change over these clips; coloured where it leaves out 0." : "";
  return make("div", "", table, make("p", "facts", on ? `Measured on ${on}.${small}` : ""));
}

/** @param {number} change */
const signed = (change) => `${change >= 0.05 ? "+" : change <= -0.05 ? "\u2212" : "\u00b1"}${Math.abs(change).toFixed(1)}`;

const TRACKS = { audio: "audible", visual: "visible", audio_visual: "audio-visual", type: "Type", event: "Event" };

/** A score as the tables call it: "segment_type" is "Segment-level Type". @param {string} name */
function spoken(name) {
  const level = name.split("_", 1)[0];
  const track = name.slice(level.length + 1);
  return `${level[0].toUpperCase()}${level.slice(1)}-level ${TRACKS[/** @type {keyof typeof TRACKS} */ (track)] ?? plain(track)}`;
}

/** @param {"th"|"td"} tag @param {string} name @param {string} text */
function cell(tag, name, text) {
  const node = make(tag, name, text);
  if (tag === "th") node.setAttribute("scope", name ? "col" : "row");
  return node;
}
