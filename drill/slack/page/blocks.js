// Block Kit blocks to document nodes; message.js and modal.js use it.
import { chart } from "./chart.js";
import { h } from "./dom.js";
import { control } from "./inputs.js";
import { markdown, plain, rich, textOf } from "./mrkdwn.js";

function picture(block) {
  const url = block.image_url || (block.slack_file?.id ? `/files-pri/T0DRILL-${block.slack_file.id}/image` : block.slack_file?.url);
  return h("figure", { class: "picture" }, block.title && h("figcaption", {}, plain(block.title.text)),
    h("img", { src: url, alt: block.alt_text, loading: "lazy" }));
}

function table(block) {
  const aligned = (at) => (block.column_settings?.[at]?.align ? `text-align:${block.column_settings[at].align}` : null);
  const cell = (one) => (one.type === "rich_text" ? rich(one) : one.text);
  const row = (cells, tag) => h("tr", {}, cells.map((one, at) => h(tag, { style: aligned(at), scope: tag === "th" ? "col" : null }, cell(one))));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" }, h("table", {},
    h("thead", {}, row(block.rows[0], "th")), h("tbody", {}, block.rows.slice(1).map((one) => row(one, "td")))));
}

const STATES = { pending: ["○", "Waiting"], in_progress: ["◔", "Under way"], complete: ["✓", "Done"], error: ["✕", "Failed"] };

function task(card) {
  const [mark, word] = STATES[card.status];
  const more = [card.details && rich(card.details), card.output && rich(card.output),
    card.sources?.length && h("p", { class: "sources" }, card.sources.map((one) => [h("a", { href: one.url, target: "_blank", rel: "noopener noreferrer" }, one.text), " "]))];
  const head = [h("i", { class: `state ${card.status}`, role: "img", "aria-label": word }, mark), h("span", {}, plain(card.title))];
  if (!more.some(Boolean)) return h("div", { class: "task" }, head);
  return h("details", { class: "task", open: card.status === "error" }, h("summary", {}, head), h("div", { class: "inside" }, more));
}

function section(block, press) {
  const control_ = block.accessory && (block.accessory.type === "image" ? h("img", { src: block.accessory.image_url, alt: block.accessory.alt_text }) : control(block.accessory, block.block_id, press));
  return h("div", { class: "section" }, h("div", { class: "words" },
    block.text && h("div", { class: "text" }, textOf(block.text)),
    block.fields && h("div", { class: "fields" }, block.fields.map((field) => h("div", { class: "text" }, textOf(field))))),
  control_ && h("div", { class: "accessory" }, control_));
}

function input(block, press) {
  const made = control(block.element, block.block_id, press, Boolean(block.dispatch_action));
  const id = `in-${block.block_id}`;
  const group = made.classList.contains("ticks");
  made.setAttribute(group ? "aria-labelledby" : "id", group ? `${id}-label` : id);
  return h("div", { class: "input", "data-input": block.block_id },
    h("label", { for: group ? null : id, id: `${id}-label` }, plain(block.label.text), block.optional && h("small", {}, " (optional)")),
    made, block.hint && h("small", { class: "hint" }, plain(block.hint.text)),
    h("p", { class: "fault", role: "alert", hidden: true }));
}

const KINDS = {
  section,
  input,
  header: (block) => h("h3", { class: "header" }, plain(block.text.text)),
  divider: () => h("hr"),
  image: picture,
  context: (block) => h("div", { class: "context" }, block.elements.map((one) =>
    one.type === "image" ? h("img", { src: one.image_url, alt: one.alt_text }) : h("span", { class: "text" }, textOf(one)))),
  actions: (block, press) => h("div", { class: "actions" }, block.elements.map((one) => control(one, block.block_id, press))),
  context_actions: (block, press) => h("div", { class: "actions small" }, block.elements.map((one) => control(one, block.block_id, press))),
  markdown: (block) => h("div", { class: "markdown text" }, markdown(block.text)),
  rich_text: (block) => h("div", { class: "rich text" }, rich(block)),
  table,
  task_card: task,
  plan: (block) => h("div", { class: "plan" }, h("strong", {}, plain(block.title)), (block.tasks || []).map(task)),
  data_visualization: chart,
  alert: (block) => h("div", { class: `notice ${block.level || "default"}`, role: "note" }, textOf(block.text)),
};

/** All blocks; press is called for every interactive element (see inputs.js). */
export function blocks(list, press) {
  return h("div", { class: "blocks" }, list.map((block) => {
    const kind = KINDS[block.type];
    return kind ? kind(block, press) : h("p", { class: "unknown" }, `(${block.type})`);
  }));
}
