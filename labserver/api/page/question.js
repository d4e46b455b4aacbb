// The form that asks about a flight, and the answer with the values behind it.

import { byId, element, Table, write } from "./elements.js";
import { count, duration, fromNewYork, moment, newYorkLocal, percent, quantity, range } from "./format.js";
import { call, Problem } from "./service.js";

// A flight of the first morning after training's last. `id` is the field's name in the interface.
const FIELDS = [
  { id: "carrier", label: "Carrier", value: "UA" },
  { id: "flight", label: "Flight", value: "1545", inputmode: "numeric" },
  { id: "origin", label: "From", value: "EWR" },
  { id: "dest", label: "To", value: "IAH" },
  { id: "tailnum", label: "Tail number", value: "N57869", hint: "may be left out" },
  { id: "scheduled_departure", label: "Scheduled departure", value: "2013-09-01T05:16", type: "datetime-local", hint: "New York time" },
];
const SNOW = { precipitation: 0.1, visibility: 0.5, humidity: 95, wind_speed: 22 };
const DECISIONS = { warn: "Warn the passengers", no_warning: "No warning" };

export class Question {
  /** `onProblem` is told what went wrong, once the form shows it. */
  constructor(onProblem) {
    this.onProblem = onProblem;
    this.form = byId("flight-form");
    this.touched = false;
    this.asking = false;
    this.fields = new Map();
    byId("flight-fields").append(...FIELDS.flatMap((field) => this.field(field.id, field)));
    this.inputs = new Table(byId("inputs-table"), INPUTS, (value) => value.name);
    this.form.addEventListener("input", () => { this.touched = true; this.countOverrides(); });
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

  /** While nobody has typed, keep the question askable: the clock moves on, and departures must lie ahead. */
  suggest(clock, recent) {
    const { input } = this.fields.get("scheduled_departure");
    if (this.touched || this.form.contains(document.activeElement) || !clock) return;
    const now = new Date(clock);
    if (new Date(fromNewYork(input.value)) > now) return;
    const next = recent.find((flight) => new Date(flight.scheduled_departure) > now);
    if (next) this.fill(next);
    else input.value = newYorkLocal(new Date(now.valueOf() + 3 * 3600_000));
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

  /** Take over a flight that the user chose, and go there. */
  choose(flight) {
    this.touched = true;
    this.fill(flight);
    byId("question").scrollIntoView();
    this.fields.get("carrier").input.focus();
  }

  override(values) {
    this.touched = true;
    for (const [id, { input }] of this.fields) {
      if (id.startsWith("overrides.")) input.value = values[id.slice("overrides.".length)] ?? "";
    }
    this.complain([]);
    this.countOverrides();
    byId("overrides").open = Object.keys(values).length > 0;
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

  async ask() {
    if (this.asking) return;
    this.asking = true;
    this.complain([]);
    try {
      const flight = this.body(), overrides = this.overrides();
      const changed = Object.keys(overrides).length > 0;
      const body = changed ? { ...flight, overrides } : flight;
      const answer = await call("v1/predictions", body);
      const [vector, baseline] = await Promise.all([
        call("v1/features/vector", body),
        changed ? call("v1/predictions", flight) : null,
      ]);
      this.show(answer, vector, baseline);
    } catch (error) {
      this.fail(error);
    } finally {
      this.asking = false;
    }
  }

  show(answer, vector, baseline) {
    const status = byId("answer-status");
    status.className = "verdict";
    const verdict = element("strong", {}, percent(answer.probability));
    status.replaceChildren(verdict, " likely to arrive more than 15 minutes late. ",
      element("span", { class: `decision ${answer.decision}` }, `${DECISIONS[answer.decision] ?? answer.decision}.`));
    write(byId("answer-baseline"), baseline
      ? `Without your values: ${percent(baseline.probability)}, ${(DECISIONS[baseline.decision] ?? baseline.decision).toLowerCase()}.` : "");
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
    status.scrollIntoView({ block: "nearest" }); // on a phone it stands below the form
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

const fact = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));

function asNumber(text) {
  const trimmed = text.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

function changed({ adjusted, change }) {
  if (!adjusted) return "";
  if (adjusted === "imputed") return "imputed: nothing usable was known";
  return change ? `clipped from ${quantity(change.received)}` : "clipped";
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
