// The form that asks about a flight, and the answer with the values behind it.

import { meter } from "./charts.js";
import { byId, element, Table, write } from "./elements.js";
import { count, duration, fromNewYork, moment, newYorkLocal, percent, quantity, range, shortMoment } from "./format.js";
import { call, Problem } from "./service.js";

// `id` is the field's name in the interface. The departure is that of a new build until the service says its clock.
const FIELDS = [
  { id: "carrier", label: "Carrier", value: "UA" },
  { id: "flight", label: "Flight", value: "1545", inputmode: "numeric" },
  { id: "origin", label: "From", value: "EWR" },
  { id: "dest", label: "To", value: "IAH" },
  { id: "tailnum", label: "Tail number", value: "N57869", hint: "may be left out" },
  { id: "scheduled_departure", label: "Scheduled departure", value: "2013-09-01T02:00", type: "datetime-local", hint: "New York time" },
];
const SNOW = { precipitation: 0.1, visibility: 0.5, humidity: 95, wind_speed: 22 };
const DECISIONS = { warn: "Warn the passengers", no_warning: "No warning" };

export class Question {
  /** `onProblem` receives the problem, once the form shows it. */
  constructor(onProblem) {
    this.onProblem = onProblem;
    this.form = byId("flight-form");
    this.chosen = false; // whether the departure is the user's
    this.asking = null;
    this.fields = new Map();
    byId("flight-fields").append(...FIELDS.flatMap((field) => this.field(field.id, field)));
    this.inputs = new Table(byId("inputs-table"), INPUTS, (value) => value.name);
    this.form.addEventListener("input", () => this.countOverrides());
    this.fields.get("scheduled_departure").input.addEventListener("input", () => { this.chosen = true; });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.ask(); });
    byId("snow").addEventListener("click", () => this.override(SNOW));
    byId("clear").addEventListener("click", () => this.override({}));
  }

  /** A field, and after it the place of its message: the style sheet puts that below the whole line of fields. */
  field(id, { label, value = "", hint = "", type = "text", inputmode }) {
    const input = element("input", {
      id: `field-${id}`, type, value, inputmode, autocomplete: "off", spellcheck: "false",
      autocapitalize: type === "text" ? "characters" : null, "aria-describedby": `error-${id} hint-${id}`,
    });
    const error = element("p", { id: `error-${id}`, class: "error" });
    this.fields.set(id, { input, error, label });
    return [
      element("div", { class: "field" }, element("label", { for: input.id }, label), input,
        element("p", { id: `hint-${id}`, class: "hint" }, hint)),
      error,
    ];
  }

  /** One field for each feature that may be overridden. */
  offer(features) {
    if (features.every((feature) => this.fields.has(`overrides.${feature.name}`))) return; // keep what was typed
    const fields = features.flatMap((feature) =>
      this.field(`overrides.${feature.name}`, {
        label: feature.name, hint: `${feature.unit}, ${range(feature.possible)}`, inputmode: "decimal",
      }));
    byId("override-fields").replaceChildren(...fields);
  }

  /** Until the user types a departure it follows the clock: then it is ahead, and values are fresh. */
  suggest(departure) {
    const { input } = this.fields.get("scheduled_departure");
    if (this.chosen || !departure || document.activeElement === input) return;
    input.value = newYorkLocal(new Date(departure));
  }

  /** Put a flight of the list of recent predictions into the form. */
  fill(flight) {
    const [origin, dest] = flight.route.split("-");
    const values = {
      carrier: flight.flight.slice(0, 2), flight: flight.flight.slice(2), origin, dest, tailnum: flight.tailnum ?? "",
      scheduled_departure: newYorkLocal(new Date(flight.scheduled_departure)),
    };
    for (const [name, value] of Object.entries(values)) this.fields.get(name).input.value = value;
    this.complain([]);
  }

  /** Ask about a flight that the user chose, and go there. */
  choose(flight) {
    this.chosen = true;
    this.fill(flight);
    byId("question").scrollIntoView();
    this.fields.get("carrier").input.focus();
    this.ask();
  }

  /** Ask with these values and no others. */
  override(values) {
    for (const [id, { input }] of this.fields) {
      if (id.startsWith("overrides.")) input.value = values[id.slice("overrides.".length)] ?? "";
    }
    this.complain([]);
    this.countOverrides();
    byId("overrides").open = Object.keys(values).length > 0;
    this.ask();
  }

  overrides() {
    const given = [...this.fields].filter(([id, { input }]) => id.startsWith("overrides.") && input.value.trim());
    return Object.fromEntries(given.map(([id, { input }]) => [id.slice("overrides.".length), asNumber(input.value)]));
  }

  countOverrides() {
    const given = Object.keys(this.overrides()).length;
    byId("override-count").textContent = given ? `${given} given` : "values that you know better";
    byId("clear").hidden = given === 0;
  }

  /** The request body. What does not look right goes out as it is: the service is the one that judges. */
  body() {
    const value = (id) => this.fields.get(id).input.value.trim();
    const body = {
      carrier: value("carrier").toUpperCase(), flight: asNumber(value("flight")),
      origin: value("origin").toUpperCase(), dest: value("dest").toUpperCase(),
      scheduled_departure: fromNewYork(value("scheduled_departure")),
    };
    if (value("tailnum")) body.tailnum = value("tailnum").toUpperCase();
    return body;
  }

  /** The last question counts: what was asked before it is no longer shown. */
  async ask() {
    const flight = this.body(), overrides = this.overrides();
    const asked = JSON.stringify([flight, overrides]);
    if (this.asking === asked) return; // a double click
    this.asking = asked;
    this.complain([]);
    let show;
    try {
      const answers = await answered(flight, overrides);
      show = () => this.show(...answers);
    } catch (error) {
      show = () => this.fail(error);
    }
    if (this.asking !== asked) return;
    this.asking = null;
    show();
  }

  show(answer, vector, baseline) {
    const status = byId("answer-status");
    status.className = baseline ? "comparison" : "verdict";
    status.replaceChildren(...(baseline ? comparison(baseline, answer) : verdict(answer))); // announced once, as a whole
    write(byId("answer-stale"), whyStale(answer, vector));
    byId("answer-facts").replaceChildren(
      fact("Asked as of", moment(vector.as_of)),
      fact("Clock", moment(vector.clock)),
      fact("Adjusted", count(answer.adjusted.length)),
      fact("Stale", answer.stale.join(", ") || "nothing"),
      fact("Id", answer.id));
    const adjusted = new Map(answer.adjusted.map((change) => [change.feature, change]));
    const stale = new Set(answer.stale);
    this.inputs.update(vector.values.map((value) => ({ ...value, change: adjusted.get(value.name), stale: stale.has(value.name) })));
    byId("answer-body").hidden = false;
    status.scrollIntoView({ block: "nearest" }); // on a phone it is below the form
  }

  fail(error) {
    byId("answer-status").className = "empty";
    byId("answer-status").textContent = "No answer.";
    byId("answer-body").hidden = true;
    if (error instanceof Problem) {
      this.complain(error.errors.length ? error.errors : [{ field: null, detail: error.message }]);
    } else {
      this.complain([{ field: null, detail: "The service does not answer. Try again." }]);
    }
    this.onProblem(error);
  }

  /** Put each finding beside the field that it names; what names none goes to the top of the form. */
  complain(findings) {
    for (const { input, error } of this.fields.values()) {
      input.removeAttribute("aria-invalid");
      error.textContent = "";
    }
    const general = [];
    let first = null;
    for (const { field, detail, allowed } of findings) {
      const told = allowed ? `${detail}. Allowed: ${[allowed].flat().join(", ")}.` : detail;
      const place = this.fields.get(field);
      if (!place) {
        general.push(field ? `${field}: ${told}` : told);
        continue;
      }
      place.input.setAttribute("aria-invalid", "true");
      place.error.textContent = `${place.label}: ${told}`;
      first ??= place.input;
    }
    byId("form-error").textContent = general.join(" ");
    if (first?.closest("details")) first.closest("details").open = true;
    first?.focus();
  }
}

/** The prediction, the vector behind it and, if values were given, the prediction without them. */
async function answered(flight, overrides) {
  const changed = Object.keys(overrides).length > 0;
  const body = changed ? { ...flight, overrides } : flight;
  const answer = await call("v1/predictions", body);
  const [vector, baseline] = await Promise.all([
    call("v1/features/vector", body),
    changed ? call("v1/predictions", flight) : null,
  ]);
  return [answer, vector, baseline];
}

const decided = ({ decision }) => element("span", { class: `decision ${decision}` }, `${DECISIONS[decision] ?? decision}.`);

const verdict = (answer) =>
  [element("strong", {}, percent(answer.probability)), " likely to arrive more than 15 minutes late. ", decided(answer)];

const card = (title, answer) =>
  element("div", { class: "card" }, element("h3", {}, title),
    element("p", { class: "verdict" }, element("strong", {}, percent(answer.probability))), meter(answer.probability),
    element("p", {}, decided(answer)));

/** Two answers side by side, and in words how far apart they are. */
function comparison(without, withValues) {
  const points = (withValues.probability - without.probability) * 100;
  const change = Math.abs(points) < 0.05 ? "do not change the probability"
    : `${points > 0 ? "raise" : "lower"} the probability by ${Math.abs(points).toFixed(1)} points`;
  const decision = withValues.decision === without.decision ? "The decision stays the same." : "The decision changes.";
  return [
    element("p", { class: "lead" }, "How likely to arrive more than 15 minutes late:"),
    card("As it is", without), card("With your values", withValues),
    element("p", { class: "lead" }, `Your values ${change}. ${decision}`),
  ];
}

const ROUNDED = 60_000; // milliseconds that a suggested departure may be later than two hours after the clock

function whyStale(answer, vector) {
  if (!answer.stale.length) return "";
  const clock = shortMoment(vector.clock);
  const reason = new Date(vector.as_of) - new Date(vector.clock) <= ROUNDED
    ? `the question is as of the clock (${clock}), and nothing newer has reached the store.`
    : `the store is complete up to ${clock} (the clock), and the question is as of ${shortMoment(vector.as_of)}.`;
  return `${answer.stale.length === 1 ? "One value is" : `${answer.stale.length} values are`} older than they should be: ${reason}`;
}

const fact = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));

function asNumber(text) {
  const trimmed = text.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

function changed({ adjusted, change }) {
  if (!adjusted) return "";
  if (adjusted === "imputed") return "imputed: nothing usable was known";
  return change ? `clipped from ${quantity(change.received)}, beyond what training saw` : "clipped";
}

const INPUTS = [
  { title: "Feature", head: true, cell: (value) => value.name },
  { title: "Value", numeric: true, cell: (value) => quantity(value.value) },
  { title: "Unit", cell: (value) => element("span", { class: "unit" }, value.unit) },
  { title: "Origin", cell: (value) => (value.origin === "override" ? element("strong", {}, "override") : value.origin) },
  {
    title: "Age", numeric: true,
    cell: (value) => (value.stale ? element("strong", {}, duration(value.age_seconds), " stale") : duration(value.age_seconds)),
  },
  { title: "Adjusted", cell: (value) => changed(value) },
];
