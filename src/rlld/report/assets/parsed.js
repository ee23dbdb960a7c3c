// What is known of a clip, and how it is said.

import { clamp } from "./edits.js";
import { NAMES, trim } from "./nodes.js";

/**
 * @typedef {import("./edits.js").Event} Event
 * @typedef {import("./edits.js").Modality} Modality
 * @typedef {object} Parsed
 * @property {number} duration seconds
 * @property {number} step seconds of a segment
 * @property {string[]} classes names as people read them
 * @property {number[][][]|null} probabilities thousandths by sound and sight, class, segment
 * @property {number[][]|null} gates probabilities that a class is heard and seen at all
 * @property {Event[]} events
 * @property {Event[]|null} truth
 * @property {Event[]} [doubts] places at which the probabilities tell little
 */

/** @param {Parsed} clip */
const segments = (clip) => clip.probabilities?.[0]?.[0]?.length ?? Math.max(1, Math.ceil(clip.duration / clip.step));

/** @param {Parsed} clip @param {number} t seconds */
export const segmentAt = (clip, t) => clamp(Math.floor(t / clip.step + 1e-6), 0, segments(clip) - 1);

/** @param {Parsed} clip @param {number} c @param {Modality} m @param {number} segment */
export function probability(clip, c, m, segment) {
  const tracks = clip.probabilities;
  if (!tracks) return 0;
  if (m === "audio_visual") return Math.min(tracks[0][c][segment], tracks[1][c][segment]) / 1000;
  return tracks[m === "audio" ? 0 : 1][c][segment] / 1000;
}

/** @param {Event} event */
export const sureness = (event) => (event.p === null ? "" : `, confidence ${event.p.toFixed(2)}`);

/** @param {Parsed} clip @param {Event} event */
export const spoken = (clip, event) =>
  `${clip.classes[event.c]}, ${NAMES[event.m]}, ${trim(event.s)} to ${trim(event.e)} seconds${sureness(event)}`;
