// One message as a row: who, when, what (text, blocks, attachments, files), reactions, and what can be done with it.
import { blocks } from "./blocks.js";
import { ago, clock, h, safeLink, whole } from "./dom.js";
import { icon } from "./icons.js";
import { valuesIn } from "./inputs.js";
import { confirmed, notice } from "./modal.js";
import { QUICK, emoji, mrkdwn } from "./mrkdwn.js";
import { act, author, store } from "./store.js";

const COLOURS = { good: "var(--good)", warning: "var(--warn)", danger: "var(--bad)" };
const colour = (value) => COLOURS[value] || (/^#?[0-9a-f]{6}$/i.test(value || "") ? `#${value.replace("#", "")}` : "var(--line)");

function presser(channel, message) {
  return async (element, blockId, raw, node) => {
    if (element.confirm && !(await confirmed(element.confirm))) return;
    node.classList.add("busy");
    const answer = await act("press", {
      channel, ts: message.ts, block_id: blockId, action_id: element.action_id, value: raw,
      values: valuesIn(node.closest(".message")),
    });
    node.classList.remove("busy");
    if (answer.error) notice(`Slack could not reach the app: ${answer.error}`);
  };
}

function attachment(one, press) {
  const in_ = (name) => (one.mrkdwn_in || ["text", "pretext"]).includes(name);
  const text = (name) => (in_(name) ? mrkdwn(one[name]) : one[name]);
  const title = one.title && (one.title_link ? safeLink(one.title_link, one.title) : one.title);
  const empty = !one.title && !one.text && !one.pretext && !one.fields?.length && !one.blocks;
  return [one.pretext && h("div", { class: "text" }, text("pretext")), h("div", { class: "attachment" },
    h("i", { class: "bar", style: `background:${colour(one.color)}` }),
    h("div", { class: "inside" },
      one.author_name && h("div", { class: "quiet" }, one.author_name),
      title && h("div", { class: "title" }, title),
      one.text && h("div", { class: "text" }, text("text")),
      one.fields?.length > 0 && h("div", { class: "fields" }, one.fields.map((field) =>
        h("div", { class: field.short ? "text" : "text long" }, h("strong", {}, field.title), h("div", {}, mrkdwn(field.value || ""))))),
      one.blocks && blocks(one.blocks, press),
      one.actions?.length > 0 && h("div", { class: "actions" }, one.actions.filter((item) => item.url).map((item) => safeLink(item.url, item.text))),
      empty && one.fallback && h("div", { class: "text" }, one.fallback),
      one.image_url && h("img", { src: one.image_url, alt: "" }),
      one.footer && h("div", { class: "quiet" }, one.footer)))];
}

function file(one) {
  if (!/^image\//.test(one.mimetype)) return safeLink(one.url_private, one.title);
  return h("figure", { class: "picture" }, h("figcaption", {}, one.title), h("img", { src: one.url_private, alt: one.alt_txt || one.title, loading: "lazy" }));
}

function reactions(channel, message) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions" }, message.reactions.map((one) => h("button", {
    class: one.users.includes(store.me) ? "mine" : "", "aria-pressed": String(one.users.includes(store.me)),
    "aria-label": `${one.name.replaceAll("_", " ")}, ${one.count}`,
    title: one.users.map((id) => store.users.get(id)?.real_name || id).join(", "),
    onclick: () => act("react", { channel, ts: message.ts, name: one.name }),
  }, emoji(one.name), " ", one.count)));
}

function tools(channel, message, open) {
  const react = (name) => act("react", { channel, ts: message.ts, name });
  const shortcuts = store.shortcuts.filter((one) => one.kind === "message");
  const menu = h("details", { class: "overflow" },
    h("summary", { "aria-label": "More actions", "data-testid": "message-menu", title: "More actions" }, "⋯"),
    h("div", { class: "menu", role: "menu" },
      shortcuts.map((one) => h("button", { role: "menuitem", "data-testid": "shortcut", "data-callback": one.callback_id, onclick: async () => {
        menu.open = false;
        const answer = await act("shortcut", { callback_id: one.callback_id, channel, ts: message.ts });
        if (answer.error) notice(`${one.name} failed: ${answer.error}`);
      } }, icon("zap"), " ", one.name)),
      h("button", { role: "menuitem", onclick: () => { menu.open = false; navigator.clipboard?.writeText(`${location.origin}/archives/${channel}/p${message.ts.replace(".", "")}`); } }, icon("link"), " Copy link")));
  return h("div", { class: "tools" },
    QUICK.slice(0, 3).map((name) => h("button", { "aria-label": `React with ${name.replaceAll("_", " ")}`, title: `:${name}:`, onclick: () => react(name) }, emoji(name))),
    open && h("button", { "aria-label": "Reply in thread", title: "Reply in thread", "data-testid": "reply", onclick: () => open(message) }, icon("speech")), menu);
}

function body(channel, message) {
  const press = presser(channel, message);
  const out = [];
  if (message.blocks?.length) out.push(blocks(message.blocks, press));
  else if (message.text) out.push(h("div", { class: "text" }, mrkdwn(message.text)));
  for (const one of message.attachments || []) out.push(attachment(one, press));
  for (const one of message.files || []) out.push(file(one));
  if (message.edited && message.user !== store.bot.user) out.push(h("small", { class: "quiet" }, "(edited)"));
  return out;
}

/** The row of a message; open(message) shows its thread, without it there is no reply line. */
export function row(channel, message, { open = null, joined = false } = {}) {
  const who = author(message);
  const whisper = message.is_ephemeral;
  const node = h("article", {
    class: `message${joined ? " joined" : ""}${whisper ? " whisper" : ""}`, "data-testid": "message", "data-ts": message.ts,
    "aria-label": `${who.name}, ${clock(message.ts)}`,
  },
  h("div", { class: "avatar", style: `background:${who.colour}`, "aria-hidden": "true" }, who.icon ? icon(who.icon) : who.name.slice(0, 1)),
  h("div", { class: "body" },
    whisper && h("div", { class: "quiet" }, icon("eye"), " Only visible to you ",
      h("button", { class: "plain", onclick: () => act("dismiss", { ts: message.ts }) }, "Dismiss")),
    h("header", {}, h("strong", {}, who.name), who.app && h("span", { class: "badge" }, "APP"),
      h("time", { title: whole(message.ts) }, clock(message.ts))),
    body(channel, message), reactions(channel, message),
    open && message.reply_count > 0 && h("button", { class: "replies", "data-testid": "open-thread", onclick: () => open(message) },
      h("strong", {}, `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`),
      h("span", { class: "quiet" }, ` Last reply ${ago(message.latest_reply)}`), h("span", { "aria-hidden": "true" }, " ›"))),
  !whisper && message.subtype !== "tombstone" && tools(channel, message, open));
  return node;
}
