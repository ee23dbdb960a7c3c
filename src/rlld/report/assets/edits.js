// Editing of events as pure functions: they take lists of events and give new ones, and change none.

/**
 * @typedef {"audio"|"visual"|"audio_visual"} Modality
 * @typedef {object} Event An event of a clip.
 * @property {number} c index of its class
 * @property {Modality} m how it is perceived
 * @property {number} s seconds at which it starts
 * @property {number} e seconds at which it ends, after `s`
 * @property {number|null} p probability; null where a person set it
 * @typedef {{events: Event[], chosen: Event|null}} Edited the list after an edit, and the event that it is about
 */

/** Seconds that the shortest event lasts. */
export const LEAST = 0.05;

/** @param {number} x @param {number} low @param {number} high */
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

/** @param {number} t seconds, rounded to what a file of events tells apart */
const rounded = (t) => Math.round(t * 1000) / 1000;

/**
 * The nearest border of a segment, the end of the clip among them.
 * @param {number} t seconds
 * @param {number} grid seconds of a segment; 0 for any time
 * @param {number} duration seconds of the clip
 */
export function snapped(t, grid, duration) {
  const time = clamp(t, 0, duration);
  if (!grid) return rounded(time);
  const border = Math.min(rounded(Math.round(time / grid) * grid), duration);
  return duration - time < Math.abs(time - border) ? duration : border;
}

/** @param {Event} a @param {Event} b */
export const sameLane = (a, b) => a.c === b.c && a.m === b.m;

/** @param {Event[]} events @returns {Event[]} by start, end, class and modality */
export const sorted = (events) => [...events].sort((a, b) => a.s - b.s || a.e - b.e || a.c - b.c || (a.m < b.m ? -1 : 1));

/**
 * The free time around an event, or around a moment, in its lane.
 * @param {Event[]} events
 * @param {Event} event
 * @param {number} duration
 * @returns {[number, number]} seconds
 */
export function room(events, event, duration) {
  let [low, high] = [0, duration];
  for (const other of events) {
    if (other === event || !sameLane(other, event)) continue;
    if (other.e <= event.s + 1e-6) low = Math.max(low, other.e);
    else if (other.s >= event.e - 1e-6) high = Math.min(high, other.s);
  }
  return [low, high];
}

/** @param {Event[]} events @param {Event} event @param {Event} by @returns {Edited} */
const replaced = (events, event, by) => ({ events: sorted(events.map((other) => (other === event ? by : other))), chosen: by });

/**
 * Moves one edge; it stops at the neighbour, and keeps a segment (or `LEAST`) of the event.
 * @param {Event[]} events
 * @param {Event} event
 * @param {"s"|"e"} side its start or end
 * @param {number} t seconds to which the edge goes
 * @param {number} grid
 * @param {number} duration
 * @returns {Edited}
 */
export function resized(events, event, side, t, grid, duration) {
  const [low, high] = room(events, event, duration);
  const time = snapped(t, grid, duration);
  const least = Math.min(grid || LEAST, event.e - event.s);
  const edge = side === "s"
    ? clamp(time, low, Math.max(low, event.e - least)) : clamp(time, Math.min(high, event.s + least), high);
  if (edge === event[side]) return { events, chosen: event };
  return replaced(events, event, { ...event, [side]: edge, p: null });
}

/**
 * Moves an event as it is; it stops at its neighbours.
 * @param {Event[]} events
 * @param {Event} event
 * @param {number} t seconds to which its start goes
 * @param {number} grid
 * @param {number} duration
 * @returns {Edited}
 */
export function moved(events, event, t, grid, duration) {
  const [low, high] = room(events, event, duration);
  const length = event.e - event.s;
  const start = clamp(snapped(t, grid, duration), low, Math.max(low, high - length));
  if (start === event.s) return { events, chosen: event };
  return replaced(events, event, { ...event, s: start, e: Math.min(rounded(start + length), high), p: null });
}

/**
 * Cuts an event in two; outside it nothing happens.
 * @param {Event[]} events
 * @param {Event} event
 * @param {number} t seconds
 * @param {number} grid
 * @param {number} duration
 * @returns {Edited} about the second part
 */
export function split(events, event, t, grid, duration) {
  const time = snapped(t, grid, duration);
  if (time < event.s + LEAST || time > event.e - LEAST) return { events, chosen: event };
  const second = { ...event, s: time };
  const rest = events.filter((other) => other !== event);
  return { events: sorted([...rest, { ...event, e: time }, second]), chosen: second };
}

/**
 * Joins an event with its next neighbour in the lane, with the one before where there is no next.
 * @param {Event[]} events
 * @param {Event} event
 * @returns {Edited}
 */
export function merged(events, event) {
  const lane = sorted(events.filter((other) => sameLane(other, event)));
  const at = lane.indexOf(event);
  const other = lane[at + 1] ?? lane[at - 1];
  if (at < 0 || !other) return { events, chosen: event };
  const touching = Math.max(event.s, other.s) - Math.min(event.e, other.e) < 1e-6;
  const p = touching && event.p === other.p ? event.p : null;
  const both = { ...event, s: Math.min(event.s, other.s), e: Math.max(event.e, other.e), p };
  return replaced(events.filter((one) => one !== other), event, both);
}

/**
 * @param {Event[]} events
 * @param {Event} event
 * @returns {Edited} about the next event of the lane, the one before where there is no next
 */
export function removed(events, event) {
  const lane = sorted(events.filter((other) => sameLane(other, event)));
  const at = lane.indexOf(event);
  return { events: events.filter((other) => other !== event), chosen: lane[at + 1] ?? lane[at - 1] ?? null };
}

/**
 * Adds an event; what it touches or covers in its lane becomes part of it.
 * @param {Event[]} events
 * @param {Event} event
 * @returns {Edited}
 */
export function added(events, event) {
  const part = events.filter((other) => sameLane(other, event) && other.s <= event.e && other.e >= event.s);
  if (!part.length) return { events: sorted([...events, event]), chosen: event };
  const s = Math.min(event.s, ...part.map((other) => other.s));
  const e = Math.max(event.e, ...part.map((other) => other.e));
  const whole = { ...event, s, e, p: null };
  return { events: sorted([...events.filter((other) => !part.includes(other)), whole]), chosen: whole };
}

/**
 * Gives an event another class or modality; in the new lane it joins what it meets there.
 * @param {Event[]} events
 * @param {Event} event
 * @param {{c?: number, m?: Modality}} change
 * @returns {Edited}
 */
export function assigned(events, event, change) {
  const other = { ...event, ...change, p: null };
  if (sameLane(event, other)) return { events, chosen: event };
  return added(events.filter((one) => one !== event), other);
}

/**
 * The audible and visible events alone. An audio-visual one says both where its class has no others.
 * @param {Event[]} events
 * @returns {Event[]}
 */
export function single(events) {
  const told = new Set(events.filter((event) => event.m !== "audio_visual").map((event) => event.c));
  return sorted(events.flatMap((event) => {
    if (event.m !== "audio_visual") return [event];
    if (told.has(event.c)) return [];
    return [/** @type {Event} */ ({ ...event, m: "audio" }), /** @type {Event} */ ({ ...event, m: "visual" })];
  }));
}

/**
 * The audio-visual events that follow: where an audible and a visible one of a class hold together.
 * @param {Event[]} events audible and visible ones
 * @returns {Event[]}
 */
export function joint(events) {
  /** @type {Map<number, Event[]>} */
  const visible = new Map();
  for (const event of events) {
    if (event.m === "visual") visible.set(event.c, [...(visible.get(event.c) ?? []), event]);
  }
  /** @type {Event[]} */
  const found = [];
  for (const heard of events) {
    if (heard.m !== "audio") continue;
    for (const seen of visible.get(heard.c) ?? []) {
      const [s, e] = [Math.max(heard.s, seen.s), Math.min(heard.e, seen.e)];
      const p = heard.p === null || seen.p === null ? null : Math.min(heard.p, seen.p);
      if (e - s > 1e-6) found.push({ c: heard.c, m: "audio_visual", s, e, p });
    }
  }
  return sorted(found);
}

/**
 * The place after (or before) the one that was shown last, or after a time where the play head has
 * left that one; round the end of the clip it goes on at its start.
 * @template {{c: number, m: Modality, s: number}} P
 * @param {P[]} places
 * @param {number} t seconds
 * @param {1|-1} direction
 * @param {P|null} [last] the one that was shown last
 * @returns {P|null}
 */
export function nextPlace(places, t, direction, last = null) {
  const order = [...places].sort((a, b) => direction * (a.s - b.s || a.c - b.c || (a.m < b.m ? -1 : 1)));
  const at = last && Math.abs(last.s - t) < 1e-3 ? order.indexOf(last) : -1;
  const next = at < 0 ? order.find((place) => direction * (place.s - t) > -1e-3) : order[at + 1];
  return next ?? order[0] ?? null;
}

/** What was done, to be undone and done again. */
export class History {
  /** @param {Edited} first */
  constructor(first) {
    this.done = [first];
    this.at = 0;
  }

  get now() {
    return this.done[this.at];
  }

  /** @param {Edited} edited */
  push(edited) {
    this.done = [...this.done.slice(0, this.at + 1), edited];
    this.at += 1;
  }

  /** @param {1|-1} direction @returns {boolean} whether there was something */
  go(direction) {
    const to = clamp(this.at + direction, 0, this.done.length - 1);
    const went = to !== this.at;
    this.at = to;
    return went;
  }
}
