// Starts the page: the top bar, the rail with channels, the channel, the thread, the home tab; keyboard and routing.
import { composer } from "./composer.js";
import { day, fill, h } from "./dom.js";
import { drillMenu, strip, watchCluster } from "./drill.js";
import { icon } from "./icons.js";
import { row } from "./message.js";
import { homeBlocks, showViews } from "./modal.js";
import { act, author, become, boot, roots, store, thread, watch } from "./store.js";

const $ = (id) => document.getElementById(id);
const at = { channel: "C0ALERTS", thread: "", tab: "messages", byHand: false };
const unread = new Set();
const wide = () => window.innerWidth >= 1100;

// ---- top bar -------------------------------------------------------------------------------------------------------
const who = h("select", { "aria-label": "You are", "data-testid": "user-switch", onchange: () => become(who.value) });
const offline = h("span", { class: "chip bad", hidden: true }, "Reconnecting…");

function theme(next) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || localStorage.getItem("theme") || (dark ? "dark" : "light");
  const wanted = next ? (now === "dark" ? "light" : "dark") : localStorage.getItem("theme");
  if (next) localStorage.setItem("theme", wanted);
  if (wanted) document.documentElement.dataset.theme = wanted;
}
theme(false);

fill($("top"),
  h("button", { class: "plain only-narrow", "aria-label": "Channels", "aria-controls": "rail", onclick: () => document.body.classList.toggle("rail-open") }, "☰"),
  h("strong", { class: "brand" }, "Drill", h("small", {}, " practice Slack")),
  strip, offline, h("span", { class: "grow" }), drillMenu,
  h("label", { class: "who" }, h("span", { class: "only-wide" }, "You are "), who),
  h("button", { class: "plain", "aria-label": "Dark or light", title: "Dark or light", "data-testid": "theme", onclick: () => theme(true) }, "◐"));

// ---- rail ----------------------------------------------------------------------------------------------------------
function drawRail() {
  fill(who, [...store.users.values()].filter((user) => !user.is_bot).map((user) =>
    h("option", { value: user.id, selected: user.id === store.me }, `${user.real_name}, ${user.title}`)));
  const item = (channel, mark, name) => h("button", {
    class: `${channel.id === at.channel ? "current" : ""}${unread.has(channel.id) ? " unread" : ""}`,
    "data-testid": channel.im ? "home" : "channel", "data-id": channel.id,
    "aria-current": channel.id === at.channel ? "page" : null, onclick: () => go(channel.id),
  }, h("span", { "aria-hidden": "true" }, mark), name, unread.has(channel.id) && h("i", { class: "dot", role: "img", "aria-label": "unread" }));
  const all = [...store.channels.values()];
  const away = store.connected === 0;
  fill($("rail"),
    h("h2", {}, "Channels"), all.filter((one) => !one.im).map((one) => item(one, "#", one.name)),
    h("h2", {}, "Apps"), all.filter((one) => one.im).map((one) => item(one, icon("bell"), h("span", {}, "Tocsin ",
      h("small", { class: away ? "off" : "on", title: away ? "The bot is not connected" : "" }, away ? "away" : "")))),
    h("p", { class: "foot" }, "A practice workspace: everything here is real HTTP, and nothing leaves this machine."));
}

// ---- lists of messages ---------------------------------------------------------------------------------------------
const FIVE_MINUTES = 300;

function entries(channel, list, open, inThread) {
  const out = [];
  let before = null, date = "";
  list.forEach((message, index) => {
    const today = day(message.ts);
    if (today !== date && !inThread) out.push({ key: `day ${today}`, sign: "", make: () => h("div", { class: "day", role: "separator" }, h("span", {}, today)) });
    const name = author(message).name;
    const joined = before !== null && today === date && before.name === name && message.ts - before.ts < FIVE_MINUTES && !message.is_ephemeral && !message.bot_id && !(inThread && index === 1);
    before = { name, ts: message.ts };
    date = today;
    const sign = JSON.stringify([message, joined, store.me]);
    out.push({ key: message.ts, sign, make: () => row(channel, message, { open, joined }) });
    if (inThread && index === 0) out.push({ key: "count", sign: String(list.length), make: () => h("div", { class: "count" }, h("span", {}, list.length === 1 ? "No replies yet" : `${list.length - 1} ${list.length === 2 ? "reply" : "replies"}`)) });
  });
  return out;
}

/** Bring node's children in line with wanted, touching only what changed, so that focus, menus and inputs survive. */
function reconcile(node, wanted) {
  const held = (node.held ||= new Map());
  const seen = new Set();
  let place = node.firstChild;
  for (const { key, sign, make } of wanted) {
    seen.add(key);
    const old = held.get(key);
    let made = old?.node;
    if (!old || old.sign !== sign) {
      made = make();
      held.set(key, { node: made, sign });
      if (old) {
        const focus = old.node.contains(document.activeElement) ? document.activeElement : null;
        const openInside = [...old.node.querySelectorAll("details.task[open]")].map((one) => one.textContent);
        if (old.node === place) place = made;
        old.node.replaceWith(made);
        for (const one of made.querySelectorAll("details.task")) if (openInside.includes(one.textContent)) one.open = true;
        if (focus?.dataset?.action) made.querySelector(`[data-action="${CSS.escape(focus.dataset.action)}"]`)?.focus();
      }
    }
    if (made === place) place = place.nextSibling;
    else node.insertBefore(made, place);
  }
  for (const [key, one] of held) if (!seen.has(key)) { one.node.remove(); held.delete(key); }
}

function listOf(label) {
  const node = h("div", { class: "list", role: "log", "aria-label": label, "aria-live": "off", tabindex: 0 });
  node.update = (items) => {
    const low = node.scrollHeight - node.scrollTop - node.clientHeight < 120;
    reconcile(node, items);
    if (low) node.scrollTop = node.scrollHeight;
  };
  node.fresh = () => { node.held = new Map(); node.replaceChildren(); };
  return node;
}

// ---- channel -------------------------------------------------------------------------------------------------------
const title = h("h1");
const topic = h("span", { class: "quiet topic" });
const tabs = h("div", { class: "tabs", role: "tablist", hidden: true });
const list = listOf("Messages");
const home = h("div", { class: "home scrolled", hidden: true, "data-testid": "home-view" });
const box = composer(() => ({ channel: at.channel }), "Message", "composer");
box.box.id = "main-composer";
fill($("main"), h("header", {}, title, topic, tabs), list, home, box);

function openThread(message) {
  const root = message.thread_ts || message.ts;
  go(at.channel, root);
  at.byHand = true;
  replyBox.box.focus();
}

function drawChannel(fresh) {
  const channel = store.channels.get(at.channel) || [...store.channels.values()][0];
  if (!channel) return;
  at.channel = channel.id;
  unread.delete(channel.id);
  title.textContent = channel.im ? "Tocsin" : `# ${channel.name}`;
  topic.textContent = channel.im ? "" : channel.topic;
  box.relabel(channel.im ? "Message Tocsin" : `Message #${channel.name}`);
  const showHome = channel.im && (at.tab === "home" || !store.messagesTab);
  tabs.hidden = !channel.im || !store.messagesTab;
  fill(tabs, channel.im && ["home", "messages"].map((name) => h("button", {
    role: "tab", "aria-selected": String(at.tab === name), onclick: () => { at.tab = name; if (name === "home") act("home"); drawChannel(true); },
  }, name === "home" ? "Home" : "Messages")));
  list.hidden = box.hidden = showHome;
  home.hidden = !showHome;
  if (showHome) drawHome();
  if (fresh) list.fresh();
  const found = roots(channel.id);
  list.classList.toggle("empty", !found.length);
  list.update(found.length ? entries(channel.id, found, openThread, false) : [{ key: "none", sign: channel.id, make: () => nothing(channel) }]);
  if (fresh) list.scrollTop = list.scrollHeight;
}

function nothing(channel) {
  return h("div", { class: "nothing" }, h("p", {}, channel.im ? "Say something to Tocsin." : `Nothing has been said in #${channel.name} yet.`),
    channel.id === "C0ALERTS" && h("p", { class: "quiet" }, "Press “Fire a drill” to break something: an alert will arrive here, and Tocsin will answer in its thread."));
}

function drawHome() {
  if (home.sign === store.home?.hash && home.childElementCount) return;
  home.sign = store.home?.hash;
  fill(home, store.home ? homeBlocks(store.home) : h("p", { class: "quiet" }, "The app has not published a home tab yet."));
}

// ---- thread --------------------------------------------------------------------------------------------------------
const threadList = listOf("Thread");
const threadIn = h("span", { class: "quiet" });
const busy = h("div", { class: "status", role: "status" });
const replyBox = composer(() => ({ channel: at.channel, thread_ts: at.thread }), "Reply…", "thread-composer");
fill($("thread"), h("header", {}, h("h2", {}, "Thread ", threadIn),
  h("button", { class: "plain", "aria-label": "Close thread", "data-testid": "close-thread", onclick: () => { go(at.channel); box.box.focus(); } }, "✕")),
threadList, busy, replyBox);

function drawThread(fresh) {
  const open = Boolean(at.thread && store.messages.get(at.channel)?.has(at.thread));
  $("thread").hidden = !open;
  document.body.classList.toggle("thread-open", open);
  if (!open) return;
  const channel = store.channels.get(at.channel);
  threadIn.textContent = channel.im ? "" : `#${channel.name}`;
  if (fresh) threadList.fresh();
  threadList.update(entries(at.channel, thread(at.channel, at.thread), null, true));
  if (fresh) threadList.scrollTop = threadList.scrollHeight;
  const status = store.status.get(at.thread);
  busy.textContent = status ? `Tocsin ${status}` : "";
}

/** The newest alert's thread, for a first look: only on wide screens, never while somebody is writing or reading another. */
function offerThread() {
  if (!wide() || at.byHand || replyBox.box.value) return;
  const alerts = roots(at.channel).filter((m) => m.reply_count > 0 && m.bot_id && m.bot_id !== store.bot.id);
  const newest = alerts.at(-1);
  if (newest && newest.ts !== at.thread) { at.thread = newest.ts; drawThread(true); }
}

// ---- routing and changes -------------------------------------------------------------------------------------------
function go(channel, ts = "") {
  document.body.classList.remove("rail-open");
  const moved = channel !== at.channel;
  if (moved && store.channels.get(channel)?.im) { at.tab = "home"; act("home"); }
  const changed = moved || ts !== at.thread;
  Object.assign(at, { channel, thread: ts, byHand: !moved });
  const hash = `#${channel}${ts ? `/${ts}` : ""}`;
  if (location.hash !== hash) history.pushState(null, "", hash);
  if (moved) drawChannel(true);
  if (changed) drawThread(true);
  drawRail();
}

function route() {
  const link = /^\/archives\/(\w+)\/p(\d+)(\d{6})/.exec(location.pathname);
  const [channel, ts] = location.hash.slice(1).split("/");
  if (store.channels.has(channel)) Object.assign(at, { channel, thread: ts || "", byHand: Boolean(ts) });
  else if (link && store.channels.has(link[1])) {
    const message = store.messages.get(link[1])?.get(`${link[2]}.${link[3]}`);
    Object.assign(at, { channel: link[1], thread: message ? message.thread_ts || message.ts : "", byHand: true });
  }
  drawChannel(true); drawThread(true); drawRail();
}
addEventListener("popstate", route);

function say(change) {
  const { message } = change;
  const own = message.user === store.me;
  const fresh = Number(message.ts) > Date.now() / 1000 - 10 && !message.edited;
  if (own || !fresh) return;
  $("said").textContent = `${author(message).name}: ${(message.text || message.attachments?.[0]?.fallback || "").slice(0, 160)}`;
  if (change.channel !== at.channel && !unread.has(change.channel)) { unread.add(change.channel); drawRail(); }
}

let waiting = 0;
const dirty = new Set();
function draw() {
  waiting = 0;
  if (dirty.has(at.channel)) { drawChannel(false); drawThread(false); offerThread(); }
  dirty.clear();
}

watch((change) => {
  switch (change.kind) {
    case "boot":
      route(); offerThread(); showViews();
      if (store.channels.get(at.channel)?.im) act("home");
      break;
    case "message": case "ephemeral": case "deleted":
      if (change.message) say(change);
      dirty.add(change.channel);
      waiting ||= requestAnimationFrame(draw);
      break;
    case "status": drawThread(false); break;
    case "presence": drawRail(); break;
    case "view": if (change.view.type === "home") drawHome(); else showViews(); break;
    case "view_closed": showViews(); break;
    case "online": offline.hidden = change.online; break;
  }
});

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    const menu = document.querySelector("details.overflow[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); } else if (at.thread && !typing) go(at.channel);
  }
  if (event.key === "/" && !typing) { event.preventDefault(); box.box.focus(); box.box.value = "/"; box.box.dispatchEvent(new Event("input")); }
});
addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.overflow[open]")) if (!menu.contains(event.target)) menu.open = false;
});
setInterval(() => { // "2 min ago" grows old
  for (const key of list.held?.keys() || []) if (list.held.get(key).node.querySelector(".replies")) list.held.get(key).sign = "";
  drawChannel(false);
}, 60000);

boot().catch(() => fill($("main"), h("p", { class: "nothing" }, "The practice Slack does not answer. Is the drill running?")));
watchCluster();
