// Asks the service for its figures again and again, and shows them.

import { byId, write } from "./elements.js";
import { timeOfDay } from "./format.js";
import { Question } from "./question.js";
import { ActiveParts, Alerts, Features, identity, Predictions, Quality, Recent, Traffic } from "./sections.js";
import { call, Problem, Unreachable, useKey } from "./service.js";

const EVERY = 1_000, HIDDEN = 15_000, LONGEST = 30_000; // milliseconds

const question = new Question((error) => { if (needsKey(error)) askForKey(); });
const traffic = new Traffic(), alerts = new Alerts(), quality = new Quality();
const panels = [traffic, new Predictions(), quality, new Features(), new Recent((flight) => question.choose(flight)), new ActiveParts()];

let timer = null, paused = false, described = false, waitingForKey = false;
let failures = 0, awaySince = null, lastSeen = null;

const needsKey = (error) => error instanceof Problem && error.status === 401;

/** Announced to screen readers. Changes of state only, never the figures. */
const announce = (text) => write(byId("announcer"), text);

function connection(state, text) {
  byId("connection").dataset.state = state;
  write(byId("connection"), text);
}

async function poll() {
  try {
    if (!described) await describe();
    const figures = await call("v1/monitor");
    if (paused) return;
    failures = 0;
    show(figures);
  } catch (error) {
    if (!(error instanceof Problem || error instanceof Unreachable)) console.error(error);
    if (needsKey(error)) return askForKey();
    away(error);
  }
  clearTimeout(timer); // polls may overlap when a tab comes back to the front: one next poll, not two
  if (!paused) timer = setTimeout(poll, pace());
}

/** Milliseconds to the next request: longer while the page is hidden, and longer still while the service is away. */
function pace() {
  const usual = document.hidden ? HIDDEN : EVERY;
  return failures ? Math.min(Math.max(usual, EVERY * 2 ** failures), LONGEST) : usual;
}

/** What does not change while a service runs. */
async function describe() {
  const [catalogue, model] = await Promise.all([call("v1/features"), call("v1/model")]);
  question.offer(catalogue.groups.flatMap((group) => group.features));
  quality.heldOut = model.metrics.model ?? {};
  described = true;
}

function show(figures) {
  lastSeen = new Date();
  if (awaySince) announce("The service answers again.");
  awaySince = null;
  connection("live", `Live, ${timeOfDay(lastSeen)}`);
  identity(figures);
  for (const panel of panels) panel.update(figures);
  const fresh = alerts.update(figures);
  if (fresh.length) announce(`New alert: ${fresh.join(", ")}.`);
  question.suggest(figures.next_departure);
}

function away(error) {
  failures += 1;
  if (!awaySince) {
    awaySince = new Date();
    announce("The service is not reachable.");
  }
  described = false; // what comes back may be another build
  traffic.gap();
  const what = error instanceof Problem ? `Answers with an error (${error.status})` : "Not reachable";
  const age = lastSeen ? ` Figures are from ${timeOfDay(lastSeen)}.` : "";
  connection("away", `${what} since ${timeOfDay(awaySince)}. Next try in ${Math.round(pace() / 1000)} s.${age}`);
}

function askForKey() {
  clearTimeout(timer);
  connection("waiting", "Waiting for a key");
  byId("key-error").textContent = waitingForKey ? "The service does not take this key." : "";
  waitingForKey = true;
  document.body.classList.add("locked");
  byId("key").hidden = false;
  byId("key-value").focus();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key-value").value);
  byId("key").hidden = true;
  poll().then(() => {
    if (!byId("key").hidden) return; // asked for again
    waitingForKey = false;
    document.body.classList.remove("locked");
    byId("key-value").value = "";
    byId("main").focus();
  });
});

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  if (paused) {
    clearTimeout(timer);
    connection("waiting", `Paused at ${timeOfDay(lastSeen ?? new Date())}`);
  } else {
    poll();
  }
});

document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused && !waitingForKey) poll(); });

poll();
