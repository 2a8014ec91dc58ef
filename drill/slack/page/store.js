// What the page knows and how it learns more: the first picture, the live stream (resumed after a break), requests.
export const store = {
  me: localStorage.getItem("me") || "U0DANA",
  team: "", bot: {}, users: new Map(), groups: new Map(), channels: new Map(), messages: new Map(),
  views: [], home: null, commands: [], shortcuts: [], status: new Map(), connected: null, seq: 0,
};
const listeners = new Set();
let source = null;

/** Call fn(change) after every change; kind "boot" means everything is new. */
export function watch(fn) { listeners.add(fn); }
function tell(change) { for (const fn of listeners) fn(change); }

const sorted = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

export async function boot() {
  const answer = await fetch(`/drill/slack/boot?user=${encodeURIComponent(store.me)}`);
  const all = await answer.json();
  Object.assign(store, {
    me: all.me, team: all.team, bot: all.bot, views: all.views, home: all.home, connected: all.connected, commands: all.commands,
    shortcuts: all.shortcuts, messagesTab: all.messages_tab, seq: all.seq, status: new Map(),
    users: new Map(all.users.map((u) => [u.id, u])),
    groups: new Map(all.groups.map((g) => [g.id, g])),
    channels: new Map(all.channels.map((c) => [c.id, c])),
    messages: new Map(Object.entries(all.messages).map(([id, list]) => [id, new Map(list.map((m) => [m.ts, m]))])),
  });
  for (const held of all.ephemerals) store.messages.get(held.channel)?.set(held.message.ts, held.message);
  tell({ kind: "boot" });
  follow();
}

function follow() {
  source?.close();
  source = new EventSource(`/drill/live?user=${encodeURIComponent(store.me)}&since=${store.seq}`);
  source.onopen = () => tell({ kind: "online", online: true });
  source.onerror = () => {
    tell({ kind: "online", online: false });
    if (source.readyState === EventSource.CLOSED) setTimeout(() => boot().catch(() => {}), 2000);
  };
  source.onmessage = (event) => apply(JSON.parse(event.data));
}

function apply(change) {
  if (change.seq <= store.seq && change.kind !== "reload") return;
  store.seq = change.seq;
  const room = store.messages.get(change.channel);
  switch (change.kind) {
    case "reload": boot(); return;
    case "message": case "ephemeral": room?.set(change.message.ts, change.message); break;
    case "deleted": room?.delete(change.ts); break;
    case "presence": store.connected = change.connected; break;
    case "status":
      if (change.status) store.status.set(change.thread_ts, change.status);
      else store.status.delete(change.thread_ts);
      break;
    case "view": {
      if (change.view.type === "home") { store.home = change.view; break; }
      const at = store.views.findIndex((view) => view.id === change.view.id);
      if (at < 0) store.views.push(change.view); else store.views[at] = change.view;
      break;
    }
    case "view_closed": store.views = store.views.filter((view) => !change.ids.includes(view.id)); break;
  }
  tell(change);
}

/** Do something as the person chosen; resolves to the answer, with .error when it was refused. */
export async function act(what, more = {}) {
  try {
    const answer = await fetch("/drill/slack/act", {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ do: what, user: store.me, ...more }),
    });
    return await answer.json();
  } catch {
    return { error: "not reachable" };
  }
}

export function become(user) {
  store.me = user;
  localStorage.setItem("me", user);
  return boot();
}

/** The messages of a channel's main list, oldest first. */
export const roots = (channel) =>
  [...(store.messages.get(channel)?.values() || [])]
    .filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast").sort(sorted);

/** A thread: its root and its replies, oldest first. */
export const thread = (channel, ts) =>
  [...(store.messages.get(channel)?.values() || [])].filter((m) => m.ts === ts || m.thread_ts === ts).sort(sorted);

/** Name, colour and kind of whoever wrote a message. */
export function author(message) {
  const user = store.users.get(message.user);
  const app = Boolean(message.bot_id) || message.user === "USLACKBOT";
  const name = message.username || user?.real_name || (message.user === "USLACKBOT" ? "Slackbot" : "Someone");
  const colour = user?.colour || (message.user === "USLACKBOT" ? "#64748b" : "#c2410c");
  return { name, colour, app, icon: message.user === store.bot.user ? "bell" : message.bot_id ? "fire" : "" };
}
