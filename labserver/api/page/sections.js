// What GET /v1/monitor says, section by section. Each function takes the whole document.

import { bins, distribution, distributionInWords, probability, Rolling, state, strip } from "./charts.js";
import { byId, element, Table, write } from "./elements.js";
import { count, decimal, known, measure, moment, NONE, percent, quantity, range, shortMoment, wallClock } from "./format.js";

const FINISHED = 9;
const put = (id, text) => write(byId(id), text);

/** Two lines in a cell: what it is, and a remark. */
const remarked = (text, remark) => element("span", {}, text, element("small", {}, remark));

export function identity({ stage, clock, bundle, parts }) {
  const own = parts.filter((part) => part.own).length;
  const kind = stage === FINISHED ? "the finished service" : "a teaching stage, unfinished on purpose";
  put("stage", `Stage ${stage} of ${FINISHED}: ${kind}. ${own ? `${own} of ${parts.length} parts are yours.` : "All parts are the shipped ones."}`);
  put("clock", moment(clock));
  put("bundle", bundle.hash.slice(0, 12));
  put("model", bundle.model_version);
  put("features-version", bundle.features_version);
  put("built", wallClock(bundle.built_at));
}

export class Traffic {
  constructor() {
    this.rate = new Rolling(byId("rate-chart"), byId("rate-summary"), ["requests/s"], "");
    this.latency = new Rolling(byId("latency-chart"), byId("latency-summary"), ["p50", "p99"], "ms");
  }

  update({ requests }) {
    put("per-second", measure(requests.per_second));
    put("p50", measure(requests.p50_ms));
    put("p99", measure(requests.p99_ms));
    put("in-flight", count(requests.in_flight));
    put("total", count(requests.total));
    const reasons = Object.entries(requests.rejected ?? {}).filter(([, number]) => number > 0);
    put("rejected", requests.rejected ? count(reasons.reduce((sum, [, number]) => sum + number, 0)) : NONE);
    put("rejected-why", reasons.map(([reason, number]) => `${reason} ${count(number)}`).join(", "));
    this.rate.add(new Date(), [requests.per_second]);
    this.latency.add(new Date(), [requests.p50_ms, requests.p99_ms]);
  }

  /** The service does not answer: the lines break. */
  gap() {
    this.rate.add(new Date(), [null]);
    this.latency.add(new Date(), [null, null]);
  }
}

/** Alerts, and the names of those that were not there before. */
export class Alerts {
  constructor() {
    this.known = new Set();
  }

  update({ alerts, stage }) {
    const name = (alert) => (alert.feature ? `${alert.name}: ${alert.feature}` : alert.name);
    write(byId("alert-list"), element("ul", {}, ...pagesFirst(alerts).map((alert) =>
      element("li", { class: alert.severity },
        element("strong", {}, alert.severity === "page" ? "■ Page" : "▲ Ticket"), " ",
        element("span", { class: "name" }, alert.detail.includes(alert.feature) ? alert.name : name(alert)), " ", element("span", {}, alert.detail), " ",
        element("span", { class: "unit" }, `since ${wallClock(alert.since)}`)))));
    byId("alert-list").hidden = alerts.length === 0;
    byId("no-alerts").hidden = alerts.length > 0;
    put("no-alerts", stage < FINISHED ? "None, and nobody looks: monitoring comes with lesson 9." : "None.");
    const fresh = alerts.map(name).filter((alert) => !this.known.has(alert));
    this.known = new Set(alerts.map(name));
    return fresh;
  }
}

const pagesFirst = (alerts) => alerts.toSorted((one, other) => (other.severity === "page") - (one.severity === "page"));

export class Predictions {
  constructor() {
    this.table = new Table(byId("distribution-table"), [
      { title: "Probability", head: true, cell: (row) => `${row.low.toFixed(3)} to ${row.high.toFixed(3)}` },
      { title: "Live", numeric: true, cell: (row) => percent(row.live) },
      { title: "Training", numeric: true, cell: (row) => percent(row.trained) },
    ], (row) => row.low);
  }

  update({ predictions, stage }) {
    const moved = known(predictions.drift) ? `; drift of a day ${decimal(predictions.drift, 3)}` : "";
    put("prediction-count", predictions.total
      ? `${count(predictions.total)} in all, ${percent(predictions.warned_share)} with a warning${moved}` : "");
    const rows = bins(predictions);
    byId("distribution-figure").hidden = rows.length === 0;
    byId("no-predictions").hidden = rows.length > 0;
    put("no-predictions", unwatched(stage, "No predictions yet."));
    if (!rows.length) return;
    const picture = byId("distribution");
    write(picture, distribution(rows, picture.clientWidth || 640));
    put("distribution-summary", distributionInWords(rows));
    this.table.update(rows);
  }
}

const unwatched = (stage, otherwise) =>
  stage < FINISHED ? "This stage keeps no account of what it predicts: monitoring comes with lesson 9." : otherwise;

export class Quality {
  constructor() {
    this.heldOut = {};
    this.table = new Table(byId("quality-table"), [
      { title: "Measure", head: true, cell: (row) => remarked(row.title, row.better) },
      { title: "Live", numeric: true, cell: (row) => decimal(row.live, 4) },
      { title: "Held out", numeric: true, cell: (row) => decimal(row.heldOut, 4) },
    ], (row) => row.title);
  }

  update({ quality }) {
    const row = (title, better, name) => ({ title, better, live: quality[name], heldOut: this.heldOut[name] });
    this.table.update([
      row("AUC", "how often a late flight gets a higher probability than one on time; higher is better", "auc"),
      row("Brier score", "mean squared error of the probabilities; lower is better", "brier"),
      row("Calibration error", "mean distance of the probabilities from the share that was late; lower is better", "calibration_error"),
    ]);
    put("quality-window", quality.window ? `over the last ${count(quality.window)} outcomes` : "");
    const landed = known(quality.join_ratio)
      ? ` Of the flights that must have landed, ${percent(quality.join_ratio)} have an outcome.` : "";
    put("quality-outcomes", quality.outcomes
      ? `${count(quality.outcomes)} outcomes on disk; the figures rest on ${count(quality.joined)}.${landed}`
      : "No outcomes yet: flights have to land first.");
  }
}

/** Which statistic is nearest to its threshold, or furthest beyond it, and how near. */
const nearest = (deviation) =>
  deviation ? element("span", {}, percent(deviation.ratio), element("span", { class: "unit" }, ` ${STATISTICS[deviation.statistic] ?? deviation.statistic}`)) : NONE;

const STATISTICS = {
  level_1d: "day", level_7d: "week", level_28d: "four weeks", step: "jump", tails: "shape", still: "frozen",
  missing: "missing", impossible: "out of range", stale: "stale",
};

export class Features {
  constructor() {
    const tally = (title, name) => ({ title, numeric: true, cell: (feature) => count(feature[name]) });
    this.table = new Table(byId("features-table"), [
      { title: "Feature", head: true, cell: (feature) => element("span", {}, feature.name, " ", element("span", { class: "unit" }, feature.unit)) },
      { title: "Owner", minor: true, cell: (feature) => feature.owner },
      { title: "Possible", numeric: true, cell: (feature) => range(feature.possible) },
      { title: "Seen in training", numeric: true, cell: (feature) => range(feature.seen) },
      { title: "Range", cell: (feature) => strip(feature) },
      { title: "Last", numeric: true, cell: (feature) => element("strong", {}, quantity(feature.last)) },
      tally("Missing", "missing"), tally("Out of range", "out_of_range"), tally("Clipped", "clipped"), tally("Rejected", "rejected"), tally("Stale", "stale"),
      { title: "Drift of a day", numeric: true, cell: (feature) => decimal(feature.drift, 2) },
      { title: "Of its threshold", numeric: true, cell: (feature) => nearest(feature.deviation) },
      { title: "Decides", numeric: true, cell: (feature) => percent(feature.decides) },
      { title: "State", cell: (feature) => state(feature.state) },
    ], (feature) => feature.name);
  }

  update({ features, stage }) {
    this.table.update(features);
    byId("no-features").hidden = features.length > 0;
    put("no-features", unwatched(stage, "Nothing yet."));
  }
}

export class Recent {
  /** `onChoose` is given the flight whose button was pressed. */
  constructor(onChoose) {
    const table = byId("recent-table");
    this.flights = new Map();
    this.table = new Table(table, [
      { title: "Flight", head: true, cell: (answer) => element("span", {}, answer.flight, " ", element("span", { class: "unit" }, answer.route)) },
      { title: "Departs", cell: (answer) => shortMoment(answer.scheduled_departure) },
      { title: "Asked as of", minor: true, cell: (answer) => shortMoment(answer.as_of) },
      { title: "Probability", cell: (answer) => probability(answer.probability) },
      { title: "Decision", cell: (answer) => (answer.decision === "warn" ? element("strong", {}, "warn") : answer.decision.replace("_", " ")) },
      { title: "Adjusted", wide: true, cell: (answer) => answer.adjusted.map(adjustment).join("; ") },
      { title: "Stale", wide: true, cell: (answer) => answer.stale.join(", ") },
      { title: "Ask", cell: (answer) => element("button", { type: "button", "data-id": answer.id, "aria-label": `Ask about ${answer.flight}` }, "Ask") },
    ], (answer) => answer.id);
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-id]");
      if (button) onChoose(this.flights.get(button.dataset.id));
    });
    this.held = () => table.matches(":hover") || table.contains(document.activeElement);
  }

  update({ recent, stage }) {
    const hold = this.held() && this.flights.size > 0; // rows must not run away from a pointer or from the focus
    put("recent-held", hold ? "held while you are in the table" : "newest first, New York time");
    if (hold) return;
    this.flights = new Map(recent.map((answer) => [answer.id, answer]));
    this.table.update(recent);
    byId("no-recent").hidden = recent.length > 0;
    put("no-recent", unwatched(stage, "No predictions yet. Ask about a flight above, or run a replay."));
  }
}

const adjustment = ({ feature, action, received, used }) =>
  action === "imputed" ? `${feature} imputed: ${quantity(used)}` : `${feature} clipped: ${quantity(received)} to ${quantity(used)}`;

const SIGNS = { solved: "✔", "not yet": "✘", "not judged": "?" };

const exercise = ({ lesson, title, state, whose }) =>
  element("li", { "data-state": state }, element("b", {}, `${SIGNS[state] ?? "·"} ${lesson}`), ` ${title}: ${[...new Set([state, whose])].join(", ")}`);

export class ActiveParts {
  constructor() {
    this.table = new Table(byId("parts-table"), [
      { title: "Part", head: true, cell: (part) => part.part },
      { title: "Lesson", numeric: true, cell: (part) => String(part.lesson) },
      { title: "Whose", cell: (part) => (part.own ? element("strong", {}, "★ yours") : "shipped") },
      { title: "Made by", wide: true, cell: (part) => element("code", {}, part.factory) },
      { title: "What it does", wide: true, cell: (part) => part.why },
    ], (part) => part.part);
  }

  update({ parts, exercises }) {
    this.table.update(parts);
    byId("parts").hidden = parts.length === 0; // what ships alone knows no lessons
    byId("exercises").hidden = exercises.length === 0;
    write(byId("exercise-list"), element("ol", { class: "exercises" }, ...exercises.map(exercise)));
    put("parts-count", `${parts.length}, ${parts.filter((part) => part.own).length} of them yours`);
  }
}
