// Small helpers around the document; every module uses them. Text becomes text nodes, never markup.
const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "line", "rect", "circle", "text", "g", "title", "polyline", "polygon", "ellipse"]);

/** Make an element: properties (class, on*, data-*, aria-*), then children (nodes, strings, lists, null). */
export function h(tag, props = {}, ...children) {
  const svg = SVG_TAGS.has(tag) && !(tag === "title" && !props.svg);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false || name === "svg") continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value;
    else if (["value", "checked", "disabled", "selected"].includes(name)) node[name] = value;
    else node.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(node, child);
    else if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/** Replace all children of node. */
export function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

/** A link that may only go where links go; anything else becomes its text. */
export function safeLink(url, ...label) {
  const shown = label.length ? label : [url];
  if (!/^(https?:|mailto:|tel:)/i.test(url)) return h("span", {}, shown);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, shown);
}

export const clock = (ts) =>
  new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const day = (ts) =>
  new Date(Number(ts) * 1000).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
export const whole = (ts) => new Date(Number(ts) * 1000).toLocaleString();

/** "2 min ago" and the like. */
export function ago(ts) {
  const seconds = Math.max(0, Date.now() / 1000 - Number(ts));
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return day(ts);
}
