// The box to write in: Enter sends, Shift+Enter breaks the line, "/" and "@" bring hints.
import { fill, h } from "./dom.js";
import { notice } from "./modal.js";
import { act, store } from "./store.js";

const WORDS = {
  channel_not_found: "You are not in this conversation.", thread_not_found: "That thread is gone.", msg_too_long: "That is too long.",
};

function hints(text) {
  if (/^\/\S*$/.test(text)) {
    return store.commands.filter((one) => one.name.startsWith(text))
      .map((one) => ({ put: `${one.name} `, name: `${one.name} ${one.hint}`, what: one.description }));
  }
  const at = /(?:^|\s)@([\w.-]*)$/.exec(text);
  if (!at) return [];
  const before = text.slice(0, text.length - at[1].length - 1);
  const people = [...store.users.values()].map((user) => [user.name, user.real_name]);
  const groups = [...store.groups.values()].map((group) => [group.handle, group.name]);
  return [...people, ...groups].filter(([name]) => name.startsWith(at[1].toLowerCase()))
    .map(([name, what]) => ({ put: `${before}@${name} `, name: `@${name}`, what }));
}

/** A composer; where() gives {channel, thread_ts}, label names the place, testid marks the box. */
export function composer(where, label, testid) {
  const list = h("div", { class: "hints", role: "listbox", hidden: true, id: `${testid}-hints` });
  let offered = [], chosen = 0;
  const draw = () => {
    list.hidden = !offered.length;
    fill(list, offered.map((one, at) => h("div", {
      role: "option", id: `${testid}-${at}`, "aria-selected": String(at === chosen), onmousedown: (event) => { event.preventDefault(); take(at); },
    }, h("strong", {}, one.name), h("span", { class: "quiet" }, one.what))));
    if (offered.length) box.setAttribute("aria-activedescendant", `${testid}-${chosen}`);
    else box.removeAttribute("aria-activedescendant");
  };
  const look = () => { offered = hints(box.value); chosen = 0; draw(); };
  const take = (at) => { box.value = offered[at].put; offered = []; draw(); box.focus(); };
  const fit = () => { box.style.height = "auto"; box.style.height = `${Math.min(box.scrollHeight, 180)}px`; };
  const box = h("textarea", {
    rows: 1, placeholder: label, "aria-label": label, "data-testid": testid, "aria-controls": list.id, autocomplete: "off",
    oninput: () => { look(); fit(); },
    onblur: () => { offered = []; draw(); },
    onkeydown: (event) => {
      if (offered.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
        event.preventDefault();
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length;
        draw();
      } else if (offered.length && event.key === "Escape") { event.stopPropagation(); offered = []; draw(); }
      else if (offered.length && (event.key === "Tab" || (event.key === "Enter" && offered[chosen].put.trim() !== box.value.trim()))) { event.preventDefault(); take(chosen); }
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
    },
  });
  async function send() {
    const text = box.value.trim();
    if (!text) return;
    box.value = ""; offered = []; draw(); fit();
    const answer = await act("say", { ...where(), text });
    if (answer.error) { notice(WORDS[answer.error] || `Not sent: ${answer.error}`); if (!box.value) box.value = text; }
  }
  const node = h("div", { class: "composer" }, list, box,
    h("button", { class: "send", "aria-label": "Send", "data-testid": "send", onclick: send }, "➤"));
  node.box = box;
  node.relabel = (words) => { box.placeholder = words; box.setAttribute("aria-label", words); };
  return node;
}
