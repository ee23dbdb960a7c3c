// How fast this person answers, from the last answers of this page.

const PAUSE = 60; // seconds after which somebody was away rather than thinking
const FEWEST = 3;

/** @type {number[]} */
let gaps = [];
let before = 0;

export const pace = {
  /** Notes that a question was answered now. */
  beat() {
    const now = performance.now() / 1000;
    if (before && now - before < PAUSE) gaps = [...gaps, now - before].slice(-20);
    before = now;
  },

  /** Seconds a question takes, the median; null until enough were answered. */
  seconds() {
    if (gaps.length < FEWEST) return null;
    return [...gaps].sort((a, b) => a - b)[gaps.length >> 1];
  },
};
