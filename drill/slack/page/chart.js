// data_visualization as plain SVG: line, area, bar, pie. The numbers are in a table for screen readers.
import { h } from "./dom.js";

const WIDTH = 520, HEIGHT = 190, LEFT = 46, RIGHT = 10, TOP = 12, BOTTOM = 30;
const short = (value) => {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return String(+value.toPrecision(3));
};

function scale(values) {
  const least = Math.min(0, ...values), most = Math.max(...values, least + 1e-9);
  const raw = (most - least) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw) || raw;
  const top = Math.ceil(most / step) * step, bottom = Math.floor(least / step) * step;
  const ticks = [];
  for (let at = bottom; at <= top + step / 2; at += step) ticks.push(at);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom || 1));
  return { ticks, y, zero: y(Math.max(0, bottom)) };
}

function axes(categories, { ticks, y }, x, config) {
  const every = Math.ceil(categories.length / 7);
  return [
    ticks.map((tick) => h("g", {}, h("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }),
      h("text", { x: LEFT - 6, y: y(tick) + 3, "text-anchor": "end" }, short(tick)))),
    categories.map((label, at) => at % every === 0 && h("text", { x: x(at), y: HEIGHT - BOTTOM + 14, "text-anchor": "middle" }, label)),
    config.x_label && h("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 2, "text-anchor": "middle", class: "axis" }, config.x_label),
    config.y_label && h("text", { x: 4, y: TOP - 3, class: "axis" }, config.y_label),
  ];
}

function plot(chart) {
  const { series, axis_config: config, type } = chart;
  const count = config.categories.length;
  const measure = scale(series.flatMap((one) => one.data.map((point) => point.value)));
  const span = WIDTH - LEFT - RIGHT, band = span / count;
  const x = (at) => (type === "bar" ? LEFT + band * (at + 0.5) : LEFT + (count > 1 ? (span * at) / (count - 1) : span / 2));
  const marks = series.map((one, index) => {
    const points = one.data.map((point, at) => [x(at), measure.y(point.value)]);
    const tip = (at) => h("title", { svg: true }, `${one.name}, ${one.data[at].label}: ${one.data[at].value}`);
    if (type === "bar") {
      const wide = (band * 0.72) / series.length;
      return points.map(([centre, top], at) => h("rect", {
        x: centre - band * 0.36 + wide * index, y: Math.min(top, measure.zero), width: Math.max(1, wide - 1),
        height: Math.max(1, Math.abs(measure.zero - top)), rx: 1.5, class: `fill c${index}`,
      }, tip(at)));
    }
    const path = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
    return h("g", {},
      type === "area" && h("polygon", { points: `${points[0][0]},${measure.zero} ${path} ${points.at(-1)[0]},${measure.zero}`, class: `shade c${index}` }),
      h("polyline", { points: path, class: `stroke c${index}` }),
      points.map(([px, py], at) => h("circle", { cx: px, cy: py, r: 2.5, class: `fill c${index}` }, tip(at))));
  });
  return [axes(config.categories, measure, x, config), marks];
}

function pie(segments) {
  const total = segments.reduce((sum, one) => sum + one.value, 0);
  let turn = -Math.PI / 2;
  const at = (angle) => `${(95 + 80 * Math.cos(angle)).toFixed(2)},${(95 + 80 * Math.sin(angle)).toFixed(2)}`;
  return segments.map((one, index) => {
    const from = turn, share = one.value / total;
    turn += share * Math.PI * 2;
    const d = share > 0.9999 ? "M95,15a80,80 0 1,1 -0.1,0z" : `M95,95L${at(from)}A80,80 0 ${share > 0.5 ? 1 : 0},1 ${at(turn)}z`;
    return h("path", { d, class: `fill c${index}` }, h("title", { svg: true }, `${one.label}: ${one.value} (${Math.round(share * 100)} %)`));
  });
}

function numbers(chart) {
  if (chart.type === "pie") return chart.segments.map((one) => h("tr", {}, h("th", {}, one.label), h("td", {}, one.value)));
  return [h("tr", {}, h("th"), chart.axis_config.categories.map((name) => h("th", {}, name))),
    chart.series.map((one) => h("tr", {}, h("th", {}, one.name), one.data.map((point) => h("td", {}, point.value))))];
}

/** The chart in one sentence, as its alternative text. */
function told(block) {
  const it = block.chart;
  if (it.type === "pie") return `${block.title}: ${it.segments.map((one) => `${one.label} ${short(one.value)}`).join(", ")}`;
  const ends = it.series.map((one) => `${one.name} from ${short(one.data[0].value)} to ${short(one.data.at(-1).value)}`);
  const marked = it.axis_config.categories.filter((label) => label.endsWith(" onset"));
  return [`${block.title}: ${ends.join(", ")}`, ...marked].join("; ");
}

/** One data_visualization block. */
export function chart(block) {
  const it = block.chart, round = it.type === "pie";
  const names = round ? it.segments.map((one) => one.label) : it.series.map((one) => one.name);
  const view = round ? "0 0 190 190" : `0 0 ${WIDTH} ${HEIGHT}`;
  return h("figure", { class: `chart ${it.type}` },
    h("figcaption", {}, block.title),
    h("svg", { viewBox: view, role: "img", "aria-label": told(block) }, round ? pie(it.segments) : plot(it)),
    (round || names.length > 1) && h("ul", { class: "legend" }, names.map((name, at) => h("li", {}, h("i", { class: `c${at}` }), name))),
    h("table", { class: "unseen" }, h("caption", {}, block.title), h("tbody", {}, numbers(it))));
}
