// Dialogs: the app's modals (a stack), the confirm dialog of an element, and short notices.
import { blocks } from "./blocks.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { valuesIn } from "./inputs.js";
import { plain, textOf } from "./mrkdwn.js";
import { act, store } from "./store.js";

/** Ask what a confirm object asks; resolves to true or false. */
export function confirmed(ask) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "sheet small", "data-testid": "confirm", "aria-label": ask.title.text },
      h("h2", {}, plain(ask.title.text)), h("div", { class: "text" }, textOf(ask.text)),
      h("div", { class: "buttons" },
        h("button", { class: "button", "data-testid": "confirm-no", onclick: () => dialog.close("no") }, plain(ask.deny.text)),
        h("button", { class: `button ${ask.style || "primary"}`, "data-testid": "confirm-yes", onclick: () => dialog.close("yes") }, plain(ask.confirm.text))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Say something at the bottom of the page for a few seconds. */
export function notice(text) {
  const node = h("div", { class: "toast", role: "alert" }, text);
  document.body.append(node);
  setTimeout(() => node.remove(), 6000);
}

const sheet = h("dialog", { class: "sheet", "data-testid": "modal" });
let shown = null; // id and hash of the view in the sheet

async function pressed(view, element, blockId, raw, node) {
  if (element.confirm && !(await confirmed(element.confirm))) return;
  const answer = await act("press", { view_id: view.id, block_id: blockId, action_id: element.action_id, value: raw, values: valuesIn(sheet) });
  if (answer.error) notice(`Slack could not reach the app: ${answer.error}`);
}

function faults(errors) {
  let first = null;
  for (const box of sheet.querySelectorAll("[data-input]")) {
    const text = errors[box.dataset.input];
    const line = box.querySelector(".fault");
    line.hidden = !text;
    line.textContent = text || "";
    const field = box.querySelector("input, select, textarea");
    field?.setAttribute("aria-invalid", String(Boolean(text)));
    if (text && !first) first = field;
  }
  first?.focus();
}

async function submit(event, view) {
  event.preventDefault();
  const button = sheet.querySelector("[type=submit]");
  button.disabled = true;
  const answer = await act("submit", { view_id: view.id, values: valuesIn(sheet) });
  button.disabled = false;
  if (answer.errors) faults(answer.errors);
  if (answer.error) notice(answer.error);
}

/** Show the topmost open view, or none. */
export function showViews() {
  const view = store.views.at(-1);
  if (!view) {
    shown = null;
    if (sheet.open) sheet.close();
    return;
  }
  if (shown === `${view.id} ${view.hash}`) return;
  shown = `${view.id} ${view.hash}`;
  const leave = (cleared) => act("close", { view_id: view.id, cleared });
  fill(sheet, h("form", { onsubmit: (event) => submit(event, view), novalidate: true },
    h("header", {}, h("span", { class: "avatar", "aria-hidden": "true" }, icon("bell")), h("h2", { id: "modal-title" }, plain(view.title.text)),
      h("button", { type: "button", class: "plain", "aria-label": "Close", onclick: () => leave(true) }, "✕")),
    h("div", { class: "scrolled" }, blocks(view.blocks, (...what) => pressed(view, ...what))),
    h("footer", { class: "buttons" },
      h("button", { type: "button", class: "button", "data-testid": "modal-close", onclick: () => leave(false) }, plain(view.close?.text || "Cancel")),
      view.submit && h("button", { type: "submit", class: "button primary", "data-testid": "modal-submit" }, plain(view.submit.text)))));
  for (const button of sheet.querySelectorAll(".blocks button")) button.type = "button";
  sheet.setAttribute("aria-labelledby", "modal-title");
  sheet.oncancel = (event) => { event.preventDefault(); leave(true); };
  if (!sheet.isConnected) document.body.append(sheet);
  if (!sheet.open) sheet.showModal();
  sheet.querySelector(".scrolled input, .scrolled textarea, .scrolled select")?.focus();
}

/** The blocks of the home tab. */
export const homeBlocks = (view) => blocks(view.blocks, (...what) => pressed(view, ...what));
