// Interactive elements, in messages and in views: each shows a control, remembers its value, and can be read.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { plain, textOf } from "./mrkdwn.js";
import { store } from "./store.js";

const optionsOf = (element) => element.options || (element.option_groups || []).flatMap((group) => group.options);

function initial(element) {
  if (element.initial_option) return element.initial_option.value;
  if (element.initial_options) return element.initial_options.map((one) => one.value);
  for (const name of ["initial_value", "initial_date", "initial_time", "initial_date_time", "initial_user", "initial_channel", "initial_conversation", "initial_users", "initial_channels", "initial_conversations"]) {
    if (element[name] !== undefined) return element[name];
  }
  return element.type === "checkboxes" || element.type.startsWith("multi_") ? [] : null;
}

/** What the inputs below node hold: {block_id: {action_id: raw}}. */
export function valuesIn(node) {
  const values = {};
  for (const control of node.querySelectorAll("[data-action]")) {
    if (control.read) (values[control.dataset.block] ||= {})[control.dataset.action] = control.read();
  }
  return values;
}

function choices(element) {
  const kind = element.type.replace("multi_", "").replace("_select", "");
  if (kind === "users") return [...store.users.values()].map((user) => [user.id, user.real_name]);
  if (kind === "channels" || kind === "conversations") {
    return [...store.channels.values()].filter((one) => !one.im).map((one) => [one.id, `#${one.name}`]);
  }
  return null;
}

function select(element, now, changed, multiple) {
  const entities = choices(element);
  const item = (one) => h("option", { value: one.value, selected: multiple ? now.includes(one.value) : one.value === now }, plain(one.text.text));
  let inside;
  if (entities) inside = entities.map(([id, name]) => h("option", { value: id, selected: multiple ? now.includes(id) : id === now }, name));
  else if (element.option_groups) inside = element.option_groups.map((group) => h("optgroup", { label: group.label.text }, group.options.map(item)));
  else inside = (element.options || []).map(item);
  const control = h("select", { multiple, onchange: changed, "aria-label": element.placeholder?.text || "Choose" },
    !multiple && h("option", { value: "", selected: now === null }, plain(element.placeholder?.text || "Choose…")), inside);
  control.read = () => (multiple ? [...control.selectedOptions].map((one) => one.value) : control.value || null);
  return control;
}

let group = 0;
function ticks(element, now, changed, type) {
  const name = `g${(group += 1)}`;
  const chosen = Array.isArray(now) ? now : [now];
  const control = h("div", { class: "ticks", role: type === "radio" ? "radiogroup" : "group" }, element.options.map((one) =>
    h("label", {}, h("input", { type, name, value: one.value, checked: chosen.includes(one.value), onchange: changed }),
      h("span", {}, textOf(one.text), one.description && h("small", {}, textOf(one.description))))));
  control.read = () => {
    const held = [...control.querySelectorAll("input:checked")].map((one) => one.value);
    return type === "radio" ? held[0] ?? null : held;
  };
  return control;
}

const PLAIN = { plain_text_input: "text", email_text_input: "email", url_text_input: "url", number_input: "text", datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

function typed(element, now, changed) {
  const control = element.multiline
    ? h("textarea", { rows: 4, maxlength: element.max_length, placeholder: element.placeholder?.text || "" })
    : h("input", { type: PLAIN[element.type], maxlength: element.max_length, placeholder: element.placeholder?.text || "", inputmode: element.type === "number_input" ? "decimal" : null });
  if (element.type === "datetimepicker") {
    if (now) control.value = new Date(now * 1000).toISOString().slice(0, 16);
    control.read = () => (control.value ? Math.floor(new Date(`${control.value}Z`).getTime() / 1000) : null);
  } else {
    control.value = now ?? "";
    control.read = () => control.value || null;
  }
  control.addEventListener("change", changed);
  return control;
}

function overflow(element, press) {
  const control = h("details", { class: "overflow" },
    h("summary", { "aria-label": "More options", class: "button" }, "⋯"),
    h("div", { class: "menu", role: "menu" }, element.options.map((one) => h("button", {
      role: "menuitem", onclick: () => { control.open = false; if (one.url) window.open(one.url, "_blank", "noopener"); press(one.value); },
    }, plain(one.text.text)))));
  return control;
}

/** A control for one element; press(element, blockId, raw, node) is called when the app is to hear of it. */
export function control(element, blockId, press, tells = true) {
  const send = (raw) => press(element, blockId, raw, made);
  const changed = () => tells && send(made.read());
  const now = initial(element);
  let made;
  if (element.type === "button") {
    const style = element.style ? ` ${element.style}` : "";
    made = h("button", { class: `button${style}`, "data-testid": "block-button", "aria-label": element.accessibility_label, onclick: () => {
      if (element.url) window.open(element.url, "_blank", "noopener");
      send(null);
    } }, plain(element.text.text));
  } else if (element.type === "icon_button") {
    made = h("button", { class: "button", onclick: () => send(null) }, icon("trash"), " ", plain(element.text.text));
  } else if (element.type === "feedback_buttons") {
    made = h("span", { class: "feedback" }, [element.positive_button, element.negative_button].map((one, at) => h("button", {
      class: "button", title: one.text.text, "data-testid": "block-button",
      "aria-label": one.accessibility_label || one.text.text, "aria-pressed": "false",
      onclick: (event) => {
        for (const other of made.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        send(one.value);
      },
    }, icon(at ? "-1" : "+1"))));
  } else if (element.type === "overflow") made = overflow(element, send);
  else if (element.type === "radio_buttons") made = ticks(element, now, changed, "radio");
  else if (element.type === "checkboxes") made = ticks(element, now, changed, "checkbox");
  else if (PLAIN[element.type]) made = typed(element, now, changed);
  else made = select(element, now, changed, element.type.startsWith("multi_"));
  made.dataset.action = element.action_id;
  made.dataset.block = blockId;
  return made;
}
