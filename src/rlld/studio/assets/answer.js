// One question after the other: is the class heard, is it seen?

import { button, icon, keys, make, plain } from "./dom.js";
import { pace } from "./pace.js";
import { Player, WHOLE } from "./player.js";

/** @typedef {import("./api.js").Question} Question */
/** @typedef {import("./api.js").Context} Context */
/** @typedef {{key: string, label: string, icon: string, audio: boolean|null, visual: boolean|null, unsure: boolean}} Choice */
/** @typedef {{question: Question, choice: Choice, row: HTMLLIElement, sign: HTMLElement, lost: boolean, id: number|null}} Given */

/** @type {Choice[]} */
const CHOICES = [
  { key: "H", label: "Heard", icon: "audio", audio: true, visual: false, unsure: false },
  { key: "S", label: "Seen", icon: "visual", audio: false, visual: true, unsure: false },
  { key: "B", label: "Both", icon: "audio_visual", audio: true, visual: true, unsure: false },
  { key: "N", label: "Neither", icon: "", audio: false, visual: false, unsure: false },
  { key: "?", label: "Unsure", icon: "", audio: null, visual: null, unsure: true },
];
const AHEAD = 4; // questions whose clips are loaded before they are asked
const TRAIL = 4; // answers that stay in sight

/** Answers go to the server one after the other, also when the view was left meanwhile. */
let sending = Promise.resolve();
let waiting = 0;
addEventListener("beforeunload", (event) => {
  if (waiting) event.preventDefault();
});

/** @param {() => Promise<void>} work */
function inOrder(work) {
  waiting += 1;
  sending = sending.then(work).finally(() => { waiting -= 1; });
}

/** Whether nothing of a clip lies beyond its moment. @param {Question} question */
const isWhole = ({ at, end }) => !at && end === null;
/** @param {Question} question */
const span = (question) => (isWhole(question) ? "whole clip" : question.end === null ? `from ${time(question.at)}`
  : `${time(question.at)} to ${time(question.end)}`);
/** @param {number} t */
const time = (t) => (t < 90 ? `${Number(t.toFixed(1))} s` : `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`);

// An answer counts for the whole clip, of which a moment is played.
const LINES = {
  "": "Do you hear it anywhere? Do you see it?",
  audio: "The clip has no sound. Do you see it anywhere?",
  visual: "The clip has no pictures. Do you hear it anywhere?",
};

/** Whether a clip can show what is answered. @param {Question} question @param {Choice} choice */
const possible = ({ lacks }, choice) => lacks === null || !choice[lacks];

/** @param {Question} question */
const keyOf = (question) => JSON.stringify([question.video, question.class]);

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function answer(root, { api, person, signal, tell, state, refresh, go }) {
  await sending; // what the last visit sent is known before more is asked
  /** @type {Question[]} */
  let open = []; // the first one is asked
  /** @type {Map<string, Player>} */
  const players = new Map();
  /** @type {Set<string>} */
  const under = new Set(); // answered, not yet known to be stored
  /** What this page sent and did not take back: undo means its last one, whatever another page sends. @type {Given[]} */
  let mine = [];
  let shown = "";
  let loading = false;
  let failed = ""; // why no more questions came
  const { stop } = state;

  const screen = make("section", "stage");
  screen.setAttribute("aria-label", "Clip");
  const name = make("b");
  const line = make("span");
  const title = make("h1", "question", name, line);
  title.setAttribute("aria-live", "polite");
  title.setAttribute("aria-atomic", "true");
  const buttons = CHOICES.map((choice) => {
    const node = button(choice.label, choice.key, () => give(choice), `quiet ${choice.icon}`);
    if (choice.icon) node.append(icon(choice.icon));
    return node;
  });
  const choices = make("div", "choices", ...buttons);
  choices.setAttribute("role", "group");
  choices.setAttribute("aria-label", "Your answer");
  const trail = make("ol", "trail");
  trail.setAttribute("aria-label", "Your last answers");
  const why = make("p", "why");
  const all = button("Whole clip", "W", playAll);
  const asking = make("section", "card asking", title, choices,
    make("div", "line", button("Replay", "Space", replay), all, button("Undo", "U", undo)), why, trail);
  asking.setAttribute("aria-label", "Question");
  const nothing = make("section", "card nothing");
  nothing.hidden = true;
  const where = make("p", "where");
  screen.append(where);
  root.append(screen, asking, nothing);

  // --- showing ------------------------------------------------------------------------------
  function show() {
    const [question] = open;
    asking.hidden = screen.hidden = !question;
    nothing.hidden = Boolean(question) || loading;
    if (question) ask(question);
    else {
      shown = "";
      rest();
    }
    // The question is painted first: what is loaded for the next ones can wait for that.
    requestAnimationFrame(() => setTimeout(prepare));
  }

  /** @param {Question} question */
  function ask(question) {
    const key = keyOf(question);
    if (key === shown) return;
    const player = players.get(key) ?? load(question);
    for (const other of players.values()) {
      other.node.hidden = other !== player;
      if (other !== player) other.clip.pause();
    }
    shown = key;
    name.textContent = plain(question.class);
    line.textContent = LINES[question.lacks ?? ""];
    CHOICES.forEach((choice, k) => { buttons[k].disabled = !possible(question, choice); });
    all.hidden = isWhole(question);
    why.textContent = question.why || "";
    where.textContent = `${question.video}, ${span(question)}`;
    player.play();
  }

  /** @param {Question} question */
  function load(question) {
    const player = new Player(question);
    player.node.hidden = true;
    players.set(keyOf(question), player);
    where.before(player.node);
    return player;
  }

  /** Loads the clips of the next questions, and forgets those of the last ones. */
  function prepare() {
    if (signal.aborted) return;
    const soon = open.slice(0, 1 + AHEAD);
    const wanted = new Set(soon.map(keyOf));
    for (const [key, player] of players) {
      if (wanted.has(key)) continue;
      player.drop();
      players.delete(key);
    }
    for (const question of soon) if (!players.has(keyOf(question))) load(question);
  }

  function rest() {
    if (failed) {
      nothing.replaceChildren(make("h1", "", "The next questions did not come."), make("p", "notes", failed),
        button("Try again", "", more));
      return;
    }
    nothing.replaceChildren(
      make("h1", "", "No question is open."),
      make("p", "facts", stop ? plain(stop) : "Everything was answered that a tag leaves open."),
      make("div", "line", button("Train", "", () => go("train"), "quiet main"),
        button("Undo", "U", undo)),
    );
  }

  async function more() {
    if (loading || open.length > AHEAD + 1) return;
    loading = true;
    try {
      const count = open.length + under.size + 2 * AHEAD;
      // What is answered and stored on the way is in the answer still, and must not come twice.
      const before = [...open.map(keyOf), ...under];
      /** @type {Question[]} */
      const asked = await api.get(api.path`/api/questions?person=${person}&count=${count}`);
      const have = new Set([...before, ...open.map(keyOf), ...under]);
      // What is known of a class has changed since a question was loaded.
      const fresh = new Map(asked.map((question) => [keyOf(question), question.why]));
      for (const question of open) question.why = fresh.get(keyOf(question)) ?? question.why;
      open.push(...asked.filter((question) => !have.has(keyOf(question))));
      failed = "";
    } catch (error) {
      failed = /** @type {Error} */ (error).message;
      if (open.length) tell(failed);
    } finally {
      loading = false;
    }
    if (!signal.aborted) show();
  }

  // --- answering ----------------------------------------------------------------------------
  /** @param {Choice} choice */
  function give(choice) {
    if (!open.length || !possible(open[0], choice)) return;
    const question = /** @type {Question} */ (open.shift());
    const sign = make("span", "sign", "");
    const said = make("span", "", choice.label.toLowerCase());
    const row = make("li", choice.icon, make("b", "", plain(question.class)), said, sign);
    /** @type {Given} */
    const given = { question, choice, row, sign, lost: false, id: null };
    mine.push(given);
    trail.prepend(row);
    while (trail.children.length > TRAIL) trail.lastElementChild?.remove();
    under.add(keyOf(question));
    pace.beat();
    show();
    inOrder(() => send(given));
    more();
  }

  /** @param {Given} given */
  async function send(given) {
    const { question, choice } = given;
    try {
      const { id } = await api.post("/api/answers", {
        person, video: question.video, class: question.class, audio: choice.audio,
        visual: choice.visual, probability: question.probability, unsure: choice.unsure,
      });
      given.id = id;
      given.sign.textContent = "stored";
      under.delete(keyOf(question));
      if (waiting === 1) await refresh(); // a fast person's next answer goes first
    } catch (error) {
      if (under.delete(keyOf(question))) comesBack(given, /** @type {Error} */ (error).message);
    }
  }

  /** @param {Given} given @param {string} why */
  function comesBack(given, why) {
    given.lost = true;
    mine = mine.filter((other) => other !== given);
    given.row.classList.add("lost");
    given.sign.textContent = "not stored";
    tell(`${plain(given.question.class)} was not stored and is asked again. ${why}`);
    open.splice(1, 0, given.question);
    if (!signal.aborted) show();
  }

  function undo() {
    const meant = mine.pop();
    inOrder(async () => {
      if (meant?.lost) return; // it is asked again already
      try {
        const { undone, question } = await api.post("/api/answers/undo", { person, answer: meant?.id ?? null });
        if (!undone) {
          tell("There is no answer of yours to undo.");
          return;
        }
        meant?.row.remove();
        if (question) open = [question, ...open.filter((other) => keyOf(other) !== keyOf(question))];
        // What was answered before this page was loaded, or on another one, has no row here.
        tell(`${plain(undone.class)}${meant ? "" : ` of ${undone.video}`} is ${question ? "asked again" : "taken back"}.`);
        if (!signal.aborted) show();
        await refresh();
      } catch (error) {
        if (meant) mine.push(meant);
        tell(/** @type {Error} */ (error).message);
      }
    });
  }

  function replay() {
    players.get(shown)?.play();
  }

  function playAll() {
    players.get(shown)?.play(WHOLE);
  }

  keys({
    ...Object.fromEntries(CHOICES.map((choice) => [choice.key.toLowerCase(), () => give(choice)])),
    " ": replay, w: playAll, u: undo,
  }, signal);
  signal.addEventListener("abort", () => players.forEach((player) => player.drop()));
  await more();
}
