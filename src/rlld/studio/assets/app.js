// The frame of the studio: which view is shown, who answers, light or dark, how far the round is.

import { answer } from "./answer.js";
import { api, Refused } from "./api.js";
import { browse, likeliest } from "./browse.js";
import { correct } from "./correct.js";
import { button, count, make } from "./dom.js";
import { pace } from "./pace.js";
import { people } from "./people.js";
import { train } from "./train.js";

/** @typedef {import("./api.js").State} State */
/** @typedef {import("./api.js").Context} Context */

/** Questions after which training is proposed. */
export const ROUND = 25;

const VIEWS = { answer, correct, browse, train, people };
const TITLES = { answer: "Answer", correct: "Correct", browse: "Browse", train: "Train", people: "People" };

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

// --- what the browser keeps -------------------------------------------------------------------
/** @param {string} key */
const kept = (key) => {
  try { return localStorage.getItem(key) || ""; } catch { return ""; }
};
/** @param {string} key @param {string} value */
const keep = (key, value) => {
  try { localStorage.setItem(key, value); } catch { /* storage is off */ }
};

// --- one sentence at a time -------------------------------------------------------------------
let fading = 0;
/** @param {string} sentence */
function tell(sentence) {
  clearTimeout(fading);
  $("told").textContent = sentence;
  fading = setTimeout(() => { $("told").textContent = ""; }, 4000 + 60 * sentence.length);
}
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof Refused)) return;
  event.preventDefault();
  tell(event.reason.message);
});

// --- light and dark ---------------------------------------------------------------------------
const THEMES = ["system", "light", "dark"];
/** @param {string} name */
function setTheme(name) {
  const theme = THEMES.includes(name) ? name : "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Theme: ${theme}`;
  keep("rlld-theme", theme);
}
$("theme").addEventListener("click", () => {
  setTheme(THEMES[(THEMES.indexOf(kept("rlld-theme")) + 1) % THEMES.length]);
});

// --- who answers ------------------------------------------------------------------------------
/** A name as the server keeps it: single blanks, no sign that cannot be seen. @param {string} name */
const tidy = (name) => name.replace(/\s+/gu, " ").replace(/[^\P{C}\u200c\u200d]/gu, "").trim();
let person = tidy(new URLSearchParams(location.search).get("person") ?? "") || tidy(kept("rlld-person"));

/** @param {string} name */
async function become(name) {
  if (!(await settled())) return;
  person = name;
  keep("rlld-person", name);
  // A name in the address would come back with every reload.
  history.replaceState(null, "", `${location.pathname}#/answer`);
  show();
}

/**
 * Asks for a name.
 * @param {HTMLElement} root
 * @param {State} state
 */
function askName(root, state) {
  const field = make("input");
  field.id = "who";
  field.autocomplete = "name";
  field.required = true;
  field.maxLength = 60;
  field.value = person;
  const label = make("label", "", "Your name");
  label.htmlFor = "who";
  const form = make("form", "card hello", make("h1", "", "Who is answering?"),
    make("p", "facts", "Answers are kept under a name, so that several people can be compared. It is asked once."),
    label, make("div", "line", field, make("button", "quiet main", "Begin")));
  if (state.people.length) {
    form.append(make("p", "facts", "Who has been here:"),
      make("div", "line", ...state.people.map((name) => button(name, "", () => become(name)))));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = tidy(field.value);
    if (name) become(name);
  });
  root.replaceChildren(form);
  field.focus();
}

// --- how far ----------------------------------------------------------------------------------
let counted = { person: "", rounds: 0 };

/** @param {State} state */
function progress(state) {
  const answered = Object.hasOwn(state.by_person, person) ? state.by_person[person] : 0;
  const inRound = answered % ROUND || (answered ? ROUND : 0);
  const full = inRound === ROUND;
  const rounds = Math.floor(answered / ROUND);
  // A fast person is beyond the end of a round before the server has told of it.
  if (counted.person === person && rounds > counted.rounds) tell(`${rounds * ROUND} answered: train with them, or go on.`);
  counted = { person, rounds };
  const bar = /** @type {HTMLProgressElement} */ ($("done"));
  bar.max = ROUND;
  bar.value = inRound;
  const parts = [full ? "" : `${inRound} of ${ROUND}`];
  const seconds = pace.seconds();
  if (seconds && !full) parts.push(left(seconds * (ROUND - inRound)));
  if (state.gain !== null) parts.push(`next ${ROUND}: +${state.gain.toFixed(1)} labels right`);
  $("left").textContent = parts.join(" · ");
  if (full) $("left").prepend(toTrain(answered));
  $("left").title = `${count(answered, "answer")} by ${person}, ${state.answered.toLocaleString("en")} by all`;
  $("round").hidden = false;
}
/** @param {number} answered */
function toTrain(answered) {
  const link = make("a", "", `Train with ${count(answered, "answer")}`);
  link.href = "#/train";
  return link;
}
/** @param {number} seconds */
const left = (seconds) => (seconds < 50 ? `${Math.ceil(seconds / 5) * 5} s left` : `${Math.round(seconds / 60)} min left`);

/** @returns {Promise<State>} */
async function refresh() {
  /** @type {State} */
  const state = await api.get(person ? api.path`/api/state?person=${person}` : "/api/state");
  $("name").textContent = state.data.name;
  $("notes").replaceChildren(...state.notes.map((note) => make("li", "", note)));
  $("notes").hidden = !state.notes.length;
  if (person) progress(state);
  return state;
}

// --- views ------------------------------------------------------------------------------------
let leave = new AbortController();
let last = "";
let here = ""; // the address of what is shown
const nothing = async () => true;
/** What the view has to finish before it is left. @type {() => Promise<boolean>} */
let finish = nothing;

/** Says whether the view can be left; where not, the address goes back to it. */
async function settled() {
  if (await finish()) return true;
  history.replaceState(null, "", here);
  tell("Not left, for what you changed is not stored. Try again, or reload the page to give it up.");
  return false;
}

/** @param {string} view @param {string} [id] */
function go(view, id) {
  const hash = id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
  if (location.hash === hash) show();
  else location.hash = hash;
}

async function show() {
  if (!(await settled())) return;
  finish = nothing;
  here = location.href;
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [, name = "", id] = location.hash.split("/");
  const view = /** @type {keyof typeof VIEWS} */ (Object.hasOwn(VIEWS, name) ? name : "answer");
  const root = make("div", `${view}-view`);
  $("view").setAttribute("aria-busy", "true");
  try {
    const state = await refresh();
    if (signal.aborted) return;
    if (!person && state.person) person = state.person;
    const asked = !person || name === "name";
    mark(asked ? "" : view, state);
    put(root);
    if (asked) {
      root.className = "name-view";
      askName(root, state);
      return;
    }
    const clip = view === "correct" ? await toCorrect(id) : null;
    if (signal.aborted) return;
    await VIEWS[view](root, { api, person, id: clip, go, signal, tell, state, refresh, before: (work) => { finish = work; } });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    root.replaceChildren(make("h1", "", "That did not work"), make("p", "notes", error.message),
      button("Try again", "", show));
    put(root);
  } finally {
    if (!signal.aborted) $("view").removeAttribute("aria-busy");
  }
}

/** Shows a view; a keyboard that was in the one before stays there. @param {HTMLElement} root */
function put(root) {
  const inside = $("view").contains(document.activeElement);
  $("view").replaceChildren(root);
  if (inside) $("view").focus({ preventScroll: true });
}

/** @param {string} view @param {State} state */
function mark(view, state) {
  for (const link of document.querySelectorAll(".bar nav a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = view ? `${TITLES[/** @type {keyof typeof TITLES} */ (view)]} - ` : "";
  document.title = `${title}${state.data.name} - rlld studio`;
  $("person").textContent = person;
  $("person").hidden = !person;
}

/**
 * The clip to correct: the one of the address, else the last one, else the most suspicious one.
 * @param {string|undefined} id
 * @returns {Promise<string|null>}
 */
async function toCorrect(id) {
  last = id ? decoded(id) : last || await likeliest(api, person);
  return last || null;
}

/** @param {string} text of an address, which somebody may have typed */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// A view that was chosen by a link is where the keyboard goes on.
document.querySelector(".bar")?.addEventListener("click", (event) => {
  if (/** @type {Element} */ (event.target).closest("a")) $("view").focus({ preventScroll: true });
});
addEventListener("hashchange", show);
setTheme(kept("rlld-theme"));
if (person) keep("rlld-person", person);
show();
