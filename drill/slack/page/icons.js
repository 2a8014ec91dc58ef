// Small drawings for the emoji and signs that matter here: not every machine has an emoji font.
import { h } from "./dom.js";

const p = (d, fill, more = {}) => ["path", { d, fill, ...more }];
const line = (d, stroke, width = 2) => ["path", { d, fill: "none", stroke, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" }];
const disc = (fill) => [["circle", { cx: 12, cy: 12, r: 9.5, fill }]];
const box = (fill) => ["rect", { x: 2, y: 2, width: 20, height: 20, rx: 5, fill }];
const hand = "M2 11h4v10H2zM8 21h9c1.6 0 2.5-1 2.8-2.300l1.6-6c.4-1.6-.6-2.7-2.2-2.700H14l1-4.500C15.3 3.8 14.2 3 13 3L8 11z";
const glass = [p("M6 3h12v3c0 3-4 4.5-4 6s4 3 4 6v3H6v-3c0-3 4-4.5 4-6S6 9 6 6z", "#c99a52"), p("M8.5 18.500c0-1.5 2-2.5 3.5-4 1.5 1.5 3.5 2.5 3.5 4z", "#fff3d6")];
const RED = "#dc2638", AMBER = "#f0b429", GREEN = "#22a55b", BLUE = "#2f7de1", GREY = "#8b919a";

const DRAWN = {
  bell: [p("M12 3a6 6 0 0 1 6 6v4.500l2 3.500H4l2-3.500V9a6 6 0 0 1 6-6z", "#ffd166"), p("M9.5 18.500h5a2.5 2.5 0 0 1-5 0z", "#ffd166")],
  fire: [p("M12.5 2c.8 3.5 6 6 6 12a6.5 6.5 0 0 1-13 0c0-2.5 1.2-4 2.5-5.5.3 1.5 1 2.3 1.8 2.500C9.3 7.5 10 4.5 12.5 2z", "#ff8a3d"), p("M12.2 12c.4 1.6 2.8 2.6 2.8 5.200a3 3 0 0 1-6 0c0-2 2-3 3.2-5.200z", "#ffe08a")],
  eye: [line("M2 12s4-6.5 10-6.500S22 12 22 12s-4 6.5-10 6.500S2 12 2 12z", "currentColor", 1.8), ["circle", { cx: 12, cy: 12, r: 3, fill: "currentColor" }]],
  eyes: [["ellipse", { cx: 7, cy: 12, rx: 4.6, ry: 6.5, fill: "#fff", stroke: GREY }], ["ellipse", { cx: 17, cy: 12, rx: 4.6, ry: 6.5, fill: "#fff", stroke: GREY }], ["circle", { cx: 8, cy: 13, r: 2.2, fill: "#222" }], ["circle", { cx: 18, cy: 13, r: 2.2, fill: "#222" }]],
  white_check_mark: [box(GREEN), line("M7 12.500l3.5 3.500L17 8.5", "#fff", 2.6)],
  x: [line("M5.5 5.500l13 13M18.5 5.500l-13 13", RED, 3.6)],
  warning: [p("M12 3l10 18H2z", AMBER), line("M12 10v5M12 18v.1", "#2b2100", 2.2)],
  rotating_light: [p("M6 16v-4a6 6 0 0 1 12 0v4z", RED), p("M4 17h16v3.500H4z", "#6b7280"), line("M12 1.500v2M4 5l1.5 1.500M20 5l-1.5 1.5", RED, 1.8)],
  no_entry: [...disc(RED), p("M6.5 10.500h11v3h-11z", "#fff")],
  no_entry_sign: [["circle", { cx: 12, cy: 12, r: 8.5, fill: "none", stroke: RED, "stroke-width": 2.6 }], line("M6.5 6.500l11 11", RED, 2.6)],
  hourglass: glass, hourglass_flowing_sand: glass,
  information_source: [box(BLUE), line("M12 11v6M12 7v.1", "#fff", 2.4)],
  grey_question: [line("M8 9a4 4 0 1 1 5.5 3.700c-1 .5-1.5 1-1.5 2.300M12 19v.1", GREY, 2.6)],
  question: [line("M8 9a4 4 0 1 1 5.5 3.700c-1 .5-1.5 1-1.5 2.300M12 19v.1", RED, 2.6)],
  point_down: [line("M12 4v14M6 13l6 6 6-6", "currentColor", 2.4)],
  leftwards_arrow_with_hook: [line("M9 5L4 10l5 5M4 10h11a5 5 0 0 1 0 10h-3", "currentColor", 2.2)],
  rewind: [box(BLUE), p("M12 7v10l-6-5zM18 7v10l-6-5z", "#fff")],
  "+1": [p(hand, AMBER)], "-1": [p(hand, AMBER, { transform: "rotate(180 12 12)" })],
  mag: [["circle", { cx: 10, cy: 10, r: 6, fill: "none", stroke: BLUE, "stroke-width": 2.4 }], line("M15 15l6 6", GREY, 3)],
  memo: [p("M5 2h10l4 4v16H5z", "#e8edf5", { stroke: GREY }), line("M8 9h8M8 13h8M8 17h5", GREY, 1.6)],
  books: [p("M3 4h5v17H3z", RED), p("M9 4h5v17H9z", GREEN), p("M15.5 5l4-1 3.5 16-4 1z", BLUE)],
  bulb: [p("M12 2a7 7 0 0 1 4 12.700V18H8v-3.300A7 7 0 0 1 12 2z", AMBER), p("M9 19h6v2.500H9z", GREY)],
  wrench: [line("M14 7a4.5 4.5 0 0 1 6-3.500l-3 3 1 2 2 .5 2-2.500A4.5 4.5 0 0 1 16 11L7 20l-3-3z", GREY, 2)],
  tada: [p("M3 21l5-13 8 8z", AMBER), line("M13 6c0-2 1-3 2-3M17 11c2-1 4 0 4 1M15 9l5-5", RED, 1.8)],
  zap: [p("M13 2L5 13h5l-1 9 9-12h-6z", AMBER)],
  link: [line("M10 14a4 4 0 0 0 5.7 0l3.5-3.500a4 4 0 0 0-5.7-5.700L12 6.300M14 10a4 4 0 0 0-5.7 0l-3.5 3.500a4 4 0 0 0 5.7 5.700L12 17.7", "currentColor", 1.8)],
  speech: [line("M4 5h16v11h-9l-5 4v-4H4z", "currentColor", 1.8)],
  trash: [line("M5 7h14M10 7V4h4v3M7 7l1 14h8l1-14", "currentColor", 1.8)],
  red_circle: disc(RED), large_green_circle: disc(GREEN), large_yellow_circle: disc(AMBER), large_orange_circle: disc("#f2762e"), large_blue_circle: disc(BLUE), white_circle: disc("#e5e7eb"), black_circle: disc("#1f2328"),
};
DRAWN.thumbsup = DRAWN["+1"];
DRAWN.thumbsdown = DRAWN["-1"];

/** The drawing of a name, or null; with a label it is an image to screen readers, without one it is decoration. */
export function icon(name, label = "") {
  const parts = Object.hasOwn(DRAWN, name) ? DRAWN[name] : null;
  if (!parts) return null;
  const spoken = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return h("svg", { viewBox: "0 0 24 24", class: "icon", ...spoken }, parts.map(([tag, props]) => h(tag, props)));
}
