// All clips: what they are tagged with, what is known of them, how suspicious they are.

import { choice, count, icon, make, plain } from "./dom.js";
import { Rows } from "./rows.js";

/** @typedef {import("./api.js").Context} Context */
/** @typedef {{video: string, split: string, tags: number[], state: string, suspicion: number|null,
 *   audio: number[], visual: number[], disagreement: boolean, text: string}} Clip */

const STATES = { new: "new", answered: "answered", corrected: "corrected" };
const ORDERS = { doubt: "doubtful first", name: "by name", state: "by state" };
const PAUSE = 80; // ms of rest after which thumbnails are loaded

// What was chosen stays chosen when somebody comes back from a clip.
const kept = { text: "", label: "", modality: "", state: "", order: "doubt", disagreement: false, video: "" };
/** The list as it was shown last. @type {string[]} */
let listed = [];

/**
 * The clips before and behind one in the list that it was chosen from, which may be filtered and
 * sorted; nothing where that list has no such clip.
 * @param {string} video
 * @returns {{previous?: string|null, next?: string|null}}
 */
export function beside(video) {
  const at = listed.indexOf(video);
  return at < 0 ? {} : { previous: listed[at - 1] ?? null, next: listed[at + 1] ?? null };
}

/**
 * @param {import("./api.js").Api} api
 * @param {string} person
 * @param {string[]} classes
 * @returns {Promise<Clip[]>}
 */
async function clips(api, person, classes) {
  const { columns, rows } = await api.get(api.path`/api/clips?person=${person}`);
  return rows.map((/** @type {any[]} */ row) => {
    const clip = Object.fromEntries(columns.map((/** @type {string} */ name, /** @type {number} */ k) => [name, row[k]]));
    const names = clip.tags.map((/** @type {number} */ c) => plain(classes[c] ?? ""));
    return { audio: clip.tags, visual: clip.tags, disagreement: false, ...clip,
      text: `${clip.video} ${names.join(" ")} ${clip.split}`.toLowerCase() };
  });
}

/** @param {Clip} a @param {Clip} b */
const doubtful = (a, b) => (b.suspicion ?? -1) - (a.suspicion ?? -1);

/**
 * The clip that is corrected first when none was chosen; empty where there is none.
 * @param {import("./api.js").Api} api
 * @param {string} person
 */
export async function likeliest(api, person) {
  const all = await clips(api, person, []);
  return all.sort(doubtful)[0]?.video || "";
}

/**
 * @param {HTMLElement} root
 * @param {Context} context
 */
export async function browse(root, { api, person, go, signal, state }) {
  const { classes } = state.data;
  const all = await clips(api, person, classes);
  if (signal.aborted) return;
  // Without a run nothing is doubted, and there is no such order.
  const judged = all.some((clip) => clip.suspicion !== null);
  root.classList.toggle("unjudged", !judged);
  const orders = Object.entries(ORDERS).filter(([name]) => judged || name !== "doubt");
  const sorting = () => (orders.some(([name]) => name === kept.order) ? kept.order : "name");

  const found = make("p");
  found.setAttribute("role", "status");
  const list = new Rows("Clips", emptyRow, fill, (/** @type {Clip} */ clip) => {
    kept.video = clip.video;
    go("correct", clip.video);
  });
  const search = make("input");
  search.type = "search";
  search.placeholder = "Find a clip or tag";
  search.setAttribute("aria-label", "Show clips whose name or tags contain");
  search.value = kept.text;
  search.addEventListener("input", () => set("text", search.value.toLowerCase()));
  search.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "Enter"].includes(event.key) || !list.rows.length) return;
    event.preventDefault();
    list.node.focus();
  });
  const disputed = make("input");
  disputed.type = "checkbox";
  disputed.checked = kept.disagreement;
  disputed.addEventListener("change", () => set("disagreement", disputed.checked));

  const byName = classes.map((name, index) => /** @type {[string, string]} */ ([String(index), plain(name)]));
  const filters = make("div", "filters", search,
    choice("Class", [["", "all classes"], ...byName], kept.label, (value) => set("label", value)),
    choice("Track", [["", "heard or seen"], ["audio", "heard"], ["visual", "seen"]], kept.modality, (value) => set("modality", value)),
    choice("State", [["", "any state"], ...Object.entries(STATES)], kept.state, (value) => set("state", value)),
    choice("Order", orders, sorting(), (value) => set("order", value)),
    make("label", "choice", disputed, make("span", "", "disagreements only")));
  const heads = make("div", "heads", found, make("span", "", "Tags"), make("span", "", "State"),
    ...(judged ? [make("span", "", "Doubt")] : []));
  root.append(make("h1", "hidden", "Browse"), make("section", "card", filters, heads, list.node));

  /** @param {string} name @param {string|boolean} value */
  function set(name, value) {
    Object.assign(kept, { [name]: value, video: "" });
    show();
  }

  /** @param {Clip} clip */
  function wanted(clip) {
    if (kept.text && !clip.text.includes(kept.text)) return false;
    if (kept.state && clip.state !== kept.state) return false;
    if (kept.disagreement && !clip.disagreement) return false;
    const tracks = [kept.modality !== "visual" ? clip.audio : [], kept.modality !== "audio" ? clip.visual : []];
    if (!kept.modality) tracks.push(clip.tags);
    if (kept.label) return tracks.some((track) => track.includes(Number(kept.label)));
    return !kept.modality || tracks.some((track) => track.length);
  }

  function show() {
    const rows = all.filter(wanted);
    if (sorting() === "doubt") rows.sort(doubtful);
    else if (sorting() === "name") rows.sort((a, b) => (a.video < b.video ? -1 : 1));
    else rows.sort((a, b) => order(a) - order(b) || doubtful(a, b));
    found.textContent = rows.length === all.length ? count(all.length, "clip")
      : `${rows.length.toLocaleString("en")} of ${count(all.length, "clip")}`;
    listed = rows.map((clip) => clip.video);
    list.show(rows, rows.findIndex((clip) => clip.video === kept.video));
  }
  /** @param {Clip} clip */
  const order = (clip) => Object.keys(STATES).indexOf(clip.state);

  // --- a row --------------------------------------------------------------------------------
  let resting = 0;
  list.node.addEventListener("scroll", () => rest(), { passive: true, signal });
  function rest() {
    clearTimeout(resting);
    resting = setTimeout(() => {
      for (const image of list.node.querySelectorAll("img")) {
        const source = image.dataset.source || "";
        if (image.getAttribute("src") === source) continue;
        image.hidden = false;
        image.src = source;
      }
    }, PAUSE);
  }

  function emptyRow() {
    const image = make("img");
    image.alt = "";
    const sound = icon("audio");
    image.addEventListener("error", () => {
      image.hidden = true;
      sound.toggleAttribute("hidden", false);
    });
    const gauge = make("span", "gauge", make("i"));
    return make("div", "row", make("span", "thumb", image, sound), make("b", "video"), make("span", "tags"),
      make("span", "state"), gauge);
  }

  /** @param {HTMLElement} node @param {Clip} clip */
  function fill(node, clip) {
    const [thumb, video, tags, status, gauge] = /** @type {HTMLElement[]} */ ([...node.children]);
    const image = /** @type {HTMLImageElement} */ (thumb.firstElementChild);
    image.dataset.source = api.path`/thumb/${clip.video}.jpg`;
    image.removeAttribute("src");
    image.hidden = true;
    image.nextElementSibling?.toggleAttribute("hidden", true);
    video.textContent = clip.video;
    const names = clip.tags.map((c) => plain(classes[c]));
    tags.replaceChildren(...names.flatMap((name) => [make("span", "tag", name), " "]));
    tags.title = names.join(", ");
    status.textContent = clip.disagreement ? "disputed" : clip.state;
    status.className = `state ${clip.disagreement ? "disputed" : clip.state}`;
    const doubt = clip.suspicion;
    gauge.hidden = doubt === null;
    const bar = /** @type {HTMLElement} */ (gauge.firstElementChild);
    bar.style.width = `${100 * (doubt ?? 0)}%`;
    const said = doubt === null ? "" : `, doubt ${doubt.toFixed(2)}`;
    gauge.title = said.slice(2);
    node.setAttribute("aria-label",
      `${clip.video}, ${names.join(", ") || "no tag"}, ${status.textContent}${said}`);
    rest();
  }

  show();
  list.node.focus({ preventScroll: true });
}
