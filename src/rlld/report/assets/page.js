"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const NAMES = { audio: "audible", visual: "visible", audio_visual: "audio-visual" };
  const MODALITIES = Object.keys(NAMES);
  const { duration, step } = data;
  const segments = data.probabilities[0][0].length;
  const clip = $("clip");

  const trim = (x, digits = 2) => String(Number(x.toFixed(digits)));
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const percent = (t) => `${100 * t / duration}%`;
  const clock = (t) => {
    if (duration < 90) return `${trim(t, 1)} s`;
    const whole = Math.floor(t);
    const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
    return duration < 3600 ? parts.join(":") : `${Math.floor(whole / 3600)}:${parts.join(":")}`;
  };
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const icon = (modality) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", `icon ${modality}`);
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${modality}`);
    svg.append(use);
    return svg;
  };
  const probability = (c, modality, segment) => {
    const [audio, visual] = data.probabilities.map((track) => track[c][segment] / 1000);
    return { audio, visual, audio_visual: Math.min(audio, visual) }[modality];
  };
  const segmentAt = (t) => clamp(Math.floor(t / step + 1e-6), 0, segments - 1);
  const spoken = (event) =>
    `${data.classes[event.c]}, ${NAMES[event.m]}, ${trim(event.s)} to ${trim(event.e)} seconds, ` +
    `confidence ${event.p.toFixed(2)}`;

  // --- time -------------------------------------------------------------------------------
  let still = 0; // the time of a page without a clip
  const now = () => (clip ? clip.currentTime : still);
  const seek = (t, announce = true) => {
    const time = clamp(t, 0, duration);
    // The last frame ends with the clip; stay before it so that there is a picture.
    if (clip) clip.currentTime = Math.min(time, Math.max(0, (clip.duration || duration) - 0.001));
    else still = time;
    if (announce) say(time);
    follow = true;
    draw(time);
  };
  const toggle = () => {
    if (!clip) return;
    if (clip.paused) clip.play().catch(() => { $("broken").hidden = false; });
    else clip.pause();
  };
  const active = (t) => data.events.filter((event) => event.s <= t + 1e-6 && t < event.e);
  const say = (t) => {
    const list = active(t).map((event) => `${data.classes[event.c]} ${NAMES[event.m]}`);
    $("live").textContent = `${trim(t, 1)} seconds: ${list.join(", ") || "no event"}`;
  };

  // --- lanes ------------------------------------------------------------------------------
  const busy = new Set([...data.events, ...(data.truth || [])].map((event) => event.c));
  const byLane = (events) => {
    const map = new Map();
    for (const event of events || []) {
      const key = `${event.c} ${event.m}`;
      map.has(key) ? map.get(key).push(event) : map.set(key, [event]);
    }
    return map;
  };
  const lanesOfEvents = byLane(data.events);
  const lanesOfTruth = byLane(data.truth);
  const buttons = []; // [event, button]
  const groups = new Map(); // class to element, built when first shown

  const curve = (c, modality) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${duration} 1`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    let d = "M0 1";
    for (let k = 0; k < segments; k += 1) {
      const y = (1 - probability(c, modality, k)).toFixed(3);
      d += `L${trim(k * step, 3)} ${y}L${trim(Math.min((k + 1) * step, duration), 3)} ${y}`;
    }
    path.setAttribute("d", `${d}L${duration} 1Z`);
    svg.append(path);
    return svg;
  };
  const bar = (event) => {
    const button = make("button", `event ${event.m}`);
    button.type = "button";
    button.style.left = percent(event.s);
    button.style.width = `calc(${percent(event.e - event.s)} - 1px)`;
    button.setAttribute("aria-label", spoken(event));
    button.append(make("span", "", event.p.toFixed(2)));
    button.addEventListener("click", (click) => {
      click.stopPropagation();
      seek(event.s);
    });
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) tipOfEvent(event, button);
    });
    button.addEventListener("blur", hideTip);
    buttons.push([event, button]);
    return button;
  };
  const lane = (c, modality, first) => {
    const row = make("div", "lane");
    const name = make("div", "name");
    if (first) name.append(make("b", "", data.classes[c]));
    const kind = make("span");
    kind.append(icon(modality), make("em", "", NAMES[modality]));
    name.append(kind);
    const track = make("div", `track ${modality}`);
    track.append(curve(c, modality));
    for (const event of lanesOfEvents.get(`${c} ${modality}`) || []) track.append(bar(event));
    for (const event of lanesOfTruth.get(`${c} ${modality}`) || []) {
      const mark = make("div", "truth-bar");
      mark.style.left = percent(event.s);
      mark.style.width = percent(event.e - event.s);
      track.append(mark);
    }
    track.addEventListener("click", (event) => seek(timeAt(track, event.clientX)));
    track.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") tipOfSegment(c, modality, timeAt(track, event.clientX), event);
    });
    track.addEventListener("pointerleave", hideTip);
    row.append(name, track);
    return row;
  };
  const group = (c) => {
    if (!groups.has(c)) {
      const box = make("div", data.truth ? "group truthful" : "group");
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", data.classes[c]);
      MODALITIES.forEach((modality, k) => box.append(lane(c, modality, k === 0)));
      groups.set(c, box);
    }
    return groups.get(c);
  };
  const timeAt = (track, x) => {
    const box = track.getBoundingClientRect();
    return clamp((x - box.left) / box.width, 0, 1) * duration;
  };
  const show = () => {
    const text = $("filter").value.trim().toLowerCase();
    const all = $("all").getAttribute("aria-pressed") === "true";
    const chosen = data.classes.map((_, c) => c).filter((c) =>
      text ? data.classes[c].toLowerCase().includes(text) : all || busy.has(c));
    $("lanes").replaceChildren(...chosen.map(group));
    $("empty").hidden = chosen.length > 0;
    $("empty").textContent = text
      ? "No class has this in its name."
      : "No event was found. \u201cAll classes\u201d shows every probability.";
    draw(now(), true);
  };

  // --- tooltip ----------------------------------------------------------------------------
  const tip = $("tip");
  let described = null;
  function hideTip() {
    tip.hidden = true;
    if (described) described.removeAttribute("aria-describedby");
    described = null;
  }
  const rowOf = (label, value) => {
    const row = make("tr");
    const gauge = make("span", "gauge");
    const fill = make("i");
    fill.style.width = `${100 * value}%`;
    gauge.append(fill);
    const cell = make("td");
    cell.append(gauge);
    row.append(make("th", "", label), make("td", "", value.toFixed(2)), cell);
    return row;
  };
  const place = (x, y) => {
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${clamp(x + 14, 8, Math.max(8, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 14) : y + 18}px`;
  };
  const tipOfSegment = (c, modality, t, pointer) => {
    const k = segmentAt(t);
    const end = Math.min((k + 1) * step, duration);
    const table = make("table");
    for (const m of MODALITIES) table.append(rowOf(NAMES[m], probability(c, m, k)));
    const gates = data.gates.map((track) => track[c].toFixed(2));
    tip.replaceChildren(
      make("h3", "", `${data.classes[c]}, ${trim(k * step)} to ${trim(end)} s`),
      table,
      make("p", "", `whole video: audible ${gates[0]}, visible ${gates[1]}`),
    );
    const over = (lanesOfEvents.get(`${c} ${modality}`) || []).find((e) => e.s <= t && t < e.e);
    if (over) tip.append(make("p", "", `event: ${trim(over.s)} to ${trim(over.e)} s, confidence ${over.p.toFixed(2)}`));
    place(pointer.clientX, pointer.clientY);
  };
  const tipOfEvent = (event, button) => {
    const table = make("table");
    const first = segmentAt(event.s);
    const last = Math.max(first + 1, Math.ceil(event.e / step - 1e-6));
    for (let k = first; k < Math.min(last, first + 12); k += 1) {
      table.append(rowOf(`${trim(k * step)} s`, probability(event.c, event.m, k)));
    }
    tip.replaceChildren(make("h3", "", spoken(event)), table);
    if (last > first + 12) tip.append(make("p", "", `and ${last - first - 12} more segments`));
    const box = button.getBoundingClientRect();
    place(box.left, box.bottom - 10);
    button.setAttribute("aria-describedby", "tip");
    described = button;
  };

  // --- play head --------------------------------------------------------------------------
  let shownSegment = -1;
  let follow = true;
  const draw = (t, force = false) => {
    // Set on the head alone: on the sheet it would restyle every event of a long video.
    $("head").style.setProperty("--at", clamp(t / duration, 0, 1));
    $("bubble").textContent = clock(t);
    $("time").textContent = clock(t);
    const k = segmentAt(t);
    if (k !== shownSegment || force) {
      shownSegment = k;
      const current = new Set(active(t));
      for (const [event, button] of buttons) button.classList.toggle("on", current.has(event));
      rows.forEach((row, n) => row.classList.toggle("on", current.has(data.events[n])));
      const items = [...current].map((event) => {
        const item = make("li", event.m);
        item.append(icon(event.m), make("b", "", data.classes[event.c]),
          make("span", "", NAMES[event.m]),
          make("span", "p", probability(event.c, event.m, k).toFixed(2)));
        return item;
      });
      $("now").replaceChildren(...(items.length ? items : [make("li", "none", "no event")]));
    }
    if (zoom > 1 && follow) keepInView(t);
  };
  const keepInView = (t) => {
    const view = $("scroller");
    const names = parseFloat(getComputedStyle($("sheet")).getPropertyValue("--names"));
    const x = (view.scrollWidth - names) * t / duration;
    const room = view.clientWidth - names;
    if (x < view.scrollLeft || x > view.scrollLeft + room * 0.95) view.scrollLeft = x - room * 0.1;
  };
  const rows = [...document.querySelectorAll("#table tbody tr")];
  rows.forEach((row) => row.addEventListener("click", () => seek(Number(row.dataset.start))));
  let frame = 0;
  const loop = () => {
    draw(now());
    frame = requestAnimationFrame(loop);
  };
  if (clip) {
    clip.addEventListener("play", () => { follow = true; cancelAnimationFrame(frame); loop(); });
    clip.addEventListener("pause", () => { cancelAnimationFrame(frame); draw(now(), true); });
    for (const name of ["seeking", "seeked", "timeupdate", "loadedmetadata"]) {
      clip.addEventListener(name, () => draw(now()));
    }
    clip.addEventListener("error", () => { $("broken").hidden = false; });
    if (clip.error) $("broken").hidden = false;
  }

  // --- axis and zoom ----------------------------------------------------------------------
  let zoom = 1;
  const deepest = Math.max(1, Math.ceil(segments / 12));
  const ticks = () => {
    const width = $("ticks").getBoundingClientRect().width || 600;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const gap = steps.find((s) => (s / duration) * width >= 58) || steps.at(-1);
    const marks = [];
    for (let t = 0; t < duration - gap * 0.35 || t === 0; t += gap) marks.push(t);
    $("ticks").replaceChildren(...marks.map((t) => {
      const mark = make("span", "", clock(t));
      mark.style.left = percent(t);
      return mark;
    }));
    const end = make("span", "last", clock(duration));
    end.style.left = "100%";
    $("ticks").append(end);
    const cell = (step / duration) * width >= 8 ? step : gap;
    const share = `${100 * cell / duration}%`;
    if ($("sheet").style.getPropertyValue("--cell") !== share) $("sheet").style.setProperty("--cell", share);
  };
  const setZoom = (value) => {
    zoom = clamp(value, 1, deepest);
    $("sheet").style.width = `calc(var(--names) + (100% - var(--names)) * ${zoom})`;
    $("in").disabled = zoom >= deepest;
    $("out").disabled = $("fit").disabled = zoom <= 1;
    ticks();
    follow = true;
    draw(now());
  };
  $("in").addEventListener("click", () => setZoom(zoom * 2));
  $("out").addEventListener("click", () => setZoom(zoom / 2));
  $("fit").addEventListener("click", () => setZoom(1));
  document.querySelector(".zoom").hidden = deepest < 2;
  $("ticks").addEventListener("click", (event) => seek(timeAt($("ticks"), event.clientX)));
  $("scroller").addEventListener("wheel", () => { follow = false; }, { passive: true });
  $("scroller").addEventListener("pointerdown", () => { follow = false; });
  addEventListener("resize", ticks);

  // --- filter, theme, keys ----------------------------------------------------------------
  $("filter").addEventListener("input", show);
  $("all").addEventListener("click", () => {
    const pressed = $("all").getAttribute("aria-pressed") !== "true";
    $("all").setAttribute("aria-pressed", String(pressed));
    show();
  });
  const themes = ["system", "light", "dark"];
  let theme = "system";
  try { theme = localStorage.getItem("rlld-theme") || theme; } catch { /* storage is off */ }
  const setTheme = (name) => {
    theme = themes.includes(name) ? name : "system";
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    $("theme").textContent = `Theme: ${theme}`;
    try { localStorage.setItem("rlld-theme", theme); } catch { /* storage is off */ }
  };
  $("theme").addEventListener("click", () => setTheme(themes[(themes.indexOf(theme) + 1) % 3]));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.closest("input, textarea, select, video, audio")) return;
    const onEvent = target.classList && target.classList.contains("event");
    const jump = (event.shiftKey ? 5 : 1) * step;
    if (event.key === " " && (onEvent || target.tagName !== "BUTTON")) toggle();
    else if (event.key === "ArrowLeft") seek(now() - jump);
    else if (event.key === "ArrowRight") seek(now() + jump);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(duration);
    else if (event.key === "Escape") { hideTip(); return; }
    else return;
    event.preventDefault();
  });
  // A button acts on Space when the key goes up; on an event Space plays and pauses instead.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.classList && event.target.classList.contains("event")) event.preventDefault();
  });

  setTheme(theme);
  show();
  setZoom(1);
})();
