// Slack's mrkdwn, the standard Markdown of the markdown block, and rich_text: text in, document nodes out.
import { h, safeLink } from "./dom.js";
import { icon } from "./icons.js";
import { store } from "./store.js";

const EMOJI = {
  rotating_light: "🚨", white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", fire: "🔥", eyes: "👀",
  bell: "🔔", hourglass_flowing_sand: "⏳", hourglass: "⌛", mag: "🔍", wrench: "🔧", hammer_and_wrench: "🛠️", rocket: "🚀",
  tada: "🎉", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", heart: "❤️", pray: "🙏", memo: "📝", bulb: "💡",
  large_green_circle: "🟢", large_yellow_circle: "🟡", large_orange_circle: "🟠", red_circle: "🔴", large_blue_circle: "🔵",
  white_circle: "⚪", black_circle: "⚫", arrow_up: "⬆️", arrow_down: "⬇️", arrow_right: "➡️", rewind: "⏪", lock: "🔒",
  books: "📚", book: "📖", chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", bar_chart: "📊", robot_face: "🤖",
  information_source: "ℹ️", question: "❓", exclamation: "❗", no_entry: "⛔", no_entry_sign: "🚫", stopwatch: "⏱️",
  clock1: "🕐", package: "📦", label: "🏷️", link: "🔗", zap: "⚡", seedling: "🌱", shield: "🛡️", raised_hands: "🙌", wave: "👋",
  ok_hand: "👌", clap: "👏", joy: "😂", thinking_face: "🤔", smile: "😄", grey_question: "❔", repeat: "🔁", gear: "⚙️", bug: "🐛",
  calendar: "📅", pencil: "📝", pencil2: "✏️", point_right: "👉", skull: "💀", construction: "🚧", ambulance: "🚑",
  checkered_flag: "🏁", ballot_box_with_check: "☑️", small_red_triangle: "🔺", small_blue_diamond: "🔹", sos: "🆘",
};
export const QUICK = ["+1", "eyes", "white_check_mark", "fire", "tada", "pray"];
/** An emoji as a node: drawn where icons.js has it, so that the page looks the same without an emoji font. */
export function emoji(name) {
  const bare = name.replace(/::.*/, "");
  return icon(bare, bare.replaceAll("_", " ")) || EMOJI[bare] || `:${name}:`;
}

const decode = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const mention = (label) => h("span", { class: "mention" }, label);
const userName = (id) => `@${store.users.get(id)?.name || id}`;
const groupName = (id) => `@${store.groups.get(id)?.handle || id}`;
const channelName = (id) => `#${store.channels.get(id)?.name || id}`;

function date(stamp, format, fallback) {
  const at = new Date(Number(stamp) * 1000);
  if (Number.isNaN(at.getTime())) return fallback || format;
  const short = { month: "short", day: "numeric", year: "numeric" };
  const made = format.replace(/\{(\w+)\}/g, (all, name) => {
    if (name === "time") return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (name === "time_secs") return at.toLocaleTimeString();
    if (name === "date_num") return at.toISOString().slice(0, 10);
    if (name === "ago") return at.toLocaleString();
    return name.startsWith("date") ? at.toLocaleDateString([], short) : all;
  });
  return h("time", { datetime: at.toISOString(), title: at.toLocaleString() }, made);
}

function angled(inner) {
  const [target, ...rest] = inner.split("|");
  const label = rest.length ? decode(rest.join("|")) : "";
  if (target.startsWith("@")) return mention(userName(target.slice(1)));
  if (target.startsWith("#")) return mention(channelName(target.slice(1)));
  if (target.startsWith("!subteam^")) return mention(groupName(target.slice(9)));
  if (target.startsWith("!date^")) {
    const [, stamp, format] = target.split("^");
    return date(stamp, format || "{date}", label);
  }
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
  const url = decode(target);
  return safeLink(url, label || url.replace(/^mailto:/, ""));
}

const INLINE = /```([\s\S]*?)```|`([^`\n]+)`|<([^<>\n]+)>|:([a-z0-9_+-]+(?:::skin-tone-\d)?):|(?<![\w*])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\w*])|(?<![\w_])_(?!\s)([^_\n]+?)(?<!\s)_(?![\w_])|(?<![\w~])~(?!\s)([^~\n]+?)(?<!\s)~(?![\w~])/g;

function inline(text, out) {
  let done = 0;
  for (const found of text.matchAll(INLINE)) {
    const [all, pre, code, angle, named, bold, italic, strike] = found;
    out.push(decode(text.slice(done, found.index)));
    if (pre !== undefined) out.push(codeBlock(decode(pre).replace(/^\n/, "").replace(/\n$/, "")));
    else if (code !== undefined) out.push(h("code", {}, decode(code)));
    else if (angle !== undefined) out.push(angled(angle));
    else if (named !== undefined) out.push(emoji(named));
    else if (bold !== undefined) out.push(h("strong", {}, inline(bold, [])));
    else if (italic !== undefined) out.push(h("em", {}, inline(italic, [])));
    else out.push(h("s", {}, inline(strike, [])));
    done = found.index + all.length;
  }
  out.push(decode(text.slice(done)));
  return out;
}

/** mrkdwn to nodes; lines stay lines, "> " quotes. */
export function mrkdwn(text) {
  const out = [];
  const pieces = String(text).split(/(```[\s\S]*?```)/);
  for (const piece of pieces) {
    if (piece.startsWith("```") && piece.endsWith("```") && piece.length > 5) { inline(piece, out); continue; }
    const lines = piece.split("\n");
    for (let at = 0; at < lines.length; at += 1) {
      if (/^&gt; ?/.test(lines[at])) {
        const quoted = [];
        while (at < lines.length && /^&gt; ?/.test(lines[at])) quoted.push(lines[at++].replace(/^&gt; ?/, ""));
        out.push(h("blockquote", {}, inline(quoted.join("\n"), [])));
        at -= 1;
      } else {
        inline(lines[at], out);
        if (at < lines.length - 1) out.push("\n");
      }
    }
  }
  return out;
}

/** Code as its own box; lines of a diff are coloured. */
export function codeBlock(text) {
  const lines = text.split("\n");
  const diff = lines.some((l) => /^[+-]/.test(l)) && lines.every((l) => /^([+\-@ ]|diff |$)/.test(l) || l === "...");
  if (!diff) return h("pre", {}, h("code", {}, text));
  const kind = (l) => (l.startsWith("@@") ? "hunk" : l.startsWith("+") ? "added" : l.startsWith("-") ? "removed" : "");
  return h("pre", { class: "diff" }, h("code", {}, lines.map((l) => h("span", { class: kind(l) }, `${l}\n`))));
}

/** plain_text: emoji names are shown as emoji, nothing else is markup. */
export const plain = (text) => String(text).split(/(:[a-z0-9_+-]+:)/).map((piece) => (/^:.+:$/.test(piece) ? emoji(piece.slice(1, -1)) : piece));

/** A text object to nodes. */
export const textOf = (object) => (object?.type === "mrkdwn" ? mrkdwn(object.text) : plain(object?.text ?? ""));

function styled(node, style = {}) {
  let made = node;
  if (style.code) made = h("code", {}, made);
  if (style.bold) made = h("strong", {}, made);
  if (style.italic) made = h("em", {}, made);
  if (style.strike) made = h("s", {}, made);
  if (style.underline) made = h("u", {}, made);
  return made;
}

function part(item) {
  switch (item.type) {
    case "text": return styled(item.text, item.style);
    case "link": return styled(safeLink(item.url, item.text || item.url), item.style);
    case "emoji": return emoji(item.name);
    case "user": return mention(userName(item.user_id));
    case "usergroup": return mention(groupName(item.usergroup_id));
    case "channel": return mention(channelName(item.channel_id));
    case "broadcast": return mention(`@${item.range}`);
    case "date": return date(item.timestamp, item.format, item.fallback);
    case "color": return h("code", {}, item.value);
    default: return "";
  }
}

/** The elements of a rich_text block to nodes. */
export function rich(block) {
  const out = [];
  let list = null;
  for (const element of block.elements) {
    if (element.type !== "rich_text_list") list = null;
    const inside = () => element.elements.map(part);
    if (element.type === "rich_text_section") out.push(h("p", {}, inside()));
    else if (element.type === "rich_text_quote") out.push(h("blockquote", {}, inside()));
    else if (element.type === "rich_text_preformatted") {
      out.push(codeBlock(element.elements.map((item) => item.text ?? item.url ?? "").join("").replace(/\n$/, "")));
    } else if (element.type === "rich_text_list") {
      const tag = element.style === "ordered" ? "ol" : "ul";
      list = h(tag, { style: `margin-inline-start:${(element.indent || 0) * 1.5}em`, start: element.offset ? element.offset + 1 : null },
        element.elements.map((item) => h("li", {}, item.elements.map(part))));
      out.push(list);
    }
  }
  return out;
}

const MD = /`([^`\n]+)`|\[([^\]\n]+)\]\((https?:[^)\s]+)\)|\*\*([^*\n]+)\*\*|__([^_\n]+)__|(?<![\w*])\*([^*\n]+)\*|(?<![\w_])_([^_\n]+)_(?![\w_])|~~([^~\n]+)~~|<(https?:[^>\s|]+)>|<@(\w+)>|:([a-z0-9_+-]+):/g;

function mdInline(text) {
  const out = [];
  let done = 0;
  for (const found of text.matchAll(MD)) {
    const [all, code, label, url, b1, b2, i1, i2, strike, auto, user, named] = found;
    out.push(text.slice(done, found.index));
    if (code) out.push(h("code", {}, code));
    else if (label) out.push(safeLink(url, label));
    else if (b1 || b2) out.push(h("strong", {}, mdInline(b1 || b2)));
    else if (i1 || i2) out.push(h("em", {}, mdInline(i1 || i2)));
    else if (strike) out.push(h("s", {}, strike));
    else if (auto) out.push(safeLink(auto));
    else if (user) out.push(mention(userName(user)));
    else out.push(emoji(named));
    done = found.index + all.length;
  }
  out.push(text.slice(done));
  return out;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));

/** Standard Markdown (headings, lists, tasks, quotes, tables, fences) to nodes. */
export function markdown(text) {
  const out = [];
  const lines = String(text).split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)/.exec(line);
    const take = (test) => {
      const taken = [];
      while (at < lines.length && test(lines[at])) taken.push(lines[at++]);
      at -= 1;
      return taken;
    };
    if (/^\s*```/.test(line)) {
      at += 1;
      const body = take((l) => !/^\s*```/.test(l));
      at += 1;
      out.push(codeBlock(body.join("\n")));
    } else if (heading) {
      out.push(h(`h${Math.min(6, heading[1].length + 2)}`, {}, mdInline(heading[2])));
    } else if (/^\s*([-*+]|\d+[.)])\s+/.test(line)) {
      const ordered = /^\s*\d/.test(line);
      const items = take((l) => /^\s*([-*+]|\d+[.)])\s+/.test(l) || /^\s{2,}\S/.test(l));
      out.push(h(ordered ? "ol" : "ul", {}, items.map((item) => {
        const deep = Math.floor(/^\s*/.exec(item)[0].length / 2);
        const words = item.replace(/^\s*([-*+]|\d+[.)])\s+/, "").replace(/^\[( |x)\]\s/i, (all, x) => (x === " " ? "☐ " : "☑ "));
        return h("li", { style: deep ? `margin-inline-start:${deep}em` : null }, mdInline(words));
      })));
    } else if (/^\s*>/.test(line)) {
      out.push(h("blockquote", {}, mdInline(take((l) => /^\s*>/.test(l)).map((l) => l.replace(/^\s*> ?/, "")).join("\n"))));
    } else if (/^\s*(---+|\*\*\*+)\s*$/.test(line)) {
      out.push(h("hr"));
    } else if (line.includes("|") && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(lines[at + 1] || "")) {
      const rows = take((l) => l.includes("|"));
      out.push(h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, cells(rows[0]).map((cell) => h("th", { scope: "col" }, mdInline(cell))))),
        h("tbody", {}, rows.slice(2).map((row) => h("tr", {}, cells(row).map((cell) => h("td", {}, mdInline(cell)))))))));
    } else if (line.trim()) {
      at += 1; // the first line is taken whatever it is, so that the loop always moves on
      out.push(h("p", {}, mdInline([line, ...take((l) => l.trim() && !/^(#{1,6}\s|\s*```|\s*>|\s*([-*+]|\d+[.)])\s)/.test(l))].join("\n"))));
    }
  }
  return out;
}
