// The drill menu (scenarios to fire, reset) and the strip that shows how the practice cluster is doing.
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { notice } from "./modal.js";

const json = async (url, options) => {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${answer.status} ${(await answer.text()).slice(0, 200)}`);
  return answer.json();
};
const post = (url, body) => json(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const list = h("div", { class: "menu wide", role: "menu" });
export const drillMenu = h("details", { class: "overflow", id: "drill" },
  h("summary", { class: "button primary", "data-testid": "fire-drill" }, icon("fire"), " Fire a drill"), list);

async function fire(scenario) {
  drillMenu.open = false;
  try {
    await post("/drill/fire", { scenario: scenario.name });
    notice(`Under way: ${scenario.title || scenario.name}. Watch #alerts.`);
  } catch (error) { notice(`The drill did not start: ${error.message}`); }
}

async function reset() {
  drillMenu.open = false;
  try { await post("/drill/reset", {}); notice("The practice world is as it was."); }
  catch (error) { notice(`Reset failed: ${error.message}`); }
}

const item = (one) => h("button", { role: "menuitem", "data-testid": "scenario", "data-name": one.name, onclick: () => fire(one) },
  h("strong", {}, one.title || one.name, one.running ? " (under way)" : ""), h("small", {}, one.summary || one.description || ""));

// The server's order is kept; scenarios of one group stand together under its name.
function groups(scenarios) {
  const found = new Map();
  for (const one of scenarios) found.set(one.group || "", [...(found.get(one.group || "") || []), one]);
  return [...found];
}

drillMenu.addEventListener("toggle", async () => {
  if (!drillMenu.open) return;
  fill(list, h("p", { class: "quiet" }, "Looking…"));
  try {
    const told = await json("/drill/scenarios");
    const scenarios = Array.isArray(told) ? told : told.scenarios || [];
    fill(list, groups(scenarios).flatMap(([group, ones]) => [group && h("h3", { class: "menu-group" }, group), ...ones.map(item)]),
    h("button", { role: "menuitem", "data-testid": "reset", onclick: reset }, h("strong", {}, "Reset"), h("small", {}, "Heal the cluster and clear the drill")));
    list.querySelector("button")?.focus();
  } catch { fill(list, h("p", { class: "quiet" }, "There is no practice cluster here.")); }
});

export const strip = h("div", { class: "strip", "data-testid": "status-strip", role: "status", "aria-label": "Practice cluster", hidden: true });

const percent = (share) => `${share >= 0.1 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`;

function chip(one) {
  const ready = one.ready ?? one.available ?? one.replicas, want = one.wanted ?? one.replicas ?? one.desired ?? one.spec ?? ready;
  const errors = one.error_ratio ?? one.error_rate ?? one.errors;
  const short = ready !== undefined && want !== undefined && (ready < want || want === 0);
  const bad = one.state === "bad" || one.healthy === false || (typeof errors === "number" && errors > 0.02);
  const state = bad ? "bad" : short ? "warn" : "good";
  const words = [want !== undefined && `${ready}/${want} pods`, typeof errors === "number" && `${percent(errors)} errors`].filter(Boolean).join(", ");
  return h("span", { class: `chip ${state}`, title: `${one.name}: ${words || state}` }, h("i", { "aria-hidden": "true" }), one.name,
    h("small", {}, typeof errors === "number" && bad ? percent(errors) : want !== undefined ? `${ready}/${want}` : ""));
}

const ORDER = ["bad", "warn", "good"];
let misses = 0;
export async function watchCluster() {
  try {
    const told = await json("/drill/state");
    const services = Array.isArray(told.services) ? told.services : Object.entries(told.services || {}).map(([name, one]) => ({ name, ...one }));
    const alerts = (told.alerts || []).filter((one) => (one.state ?? "firing") === "firing").map((one) => (typeof one === "string" ? one : one.name || one.labels?.alertname));
    const chips = services.map(chip); // trouble first: the strip may be too narrow for all
    chips.sort((a, b) => ORDER.findIndex((name) => a.classList.contains(name)) - ORDER.findIndex((name) => b.classList.contains(name)));
    fill(strip, alerts.length > 0 && h("span", { class: "chip bad alert" }, icon("bell"), [...new Set(alerts)].join(", ")), chips);
    strip.hidden = !services.length && !alerts.length;
    misses = 0;
  } catch { misses += 1; if (misses > 2) strip.hidden = true; }
  setTimeout(watchCluster, document.hidden ? 8000 : misses > 2 ? 15000 : 2000);
}
