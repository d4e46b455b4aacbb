// Pictures of numbers. Each has its numbers in words or in a table beside it.

import { element, svg, write } from "./elements.js";
import { measure, percent, quantity, timeOfDay } from "./format.js";

const MINUTES = 5, HEIGHT = 150;
const INK = "#1b1f23", GRID = "#d9dde1", BLUE = "#0b4f96", ORANGE = "#8a3400";
const FONT = "12px system-ui, sans-serif";
const STYLES = [{ stroke: BLUE, width: 2 }, { stroke: ORANGE, width: 2, dash: [6, 3] }];

/** Lines over the last five minutes, drawn by uPlot. `names` are the lines' names; at most two. */
export class Rolling {
  constructor(chart, summary, names, unit) {
    this.summary = summary;
    this.names = names;
    this.unit = unit;
    this.data = [[], ...names.map(() => [])];
    const axis = { stroke: INK, font: FONT, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, width: 1 } };
    const options = {
      width: chart.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [
        { ...axis, space: 70, size: 28, values: (_, ticks) => ticks.map((tick) => timeOfDay(new Date(tick * 1000)).slice(0, ticks[1] - ticks[0] < 60 ? 8 : 5)), incrs: [15, 30, 60] },
        { ...axis, size: 52, space: 30, values: (_, ticks) => ticks.map(quantity) },
      ],
      series: [{}, ...names.map((_, i) => ({ points: { show: false }, ...STYLES[i] }))],
      hooks: { setCursor: [(plot) => this.describe(plot.cursor.idx)] },
    };
    this.plot = new uPlot(options, this.data, chart);
    new ResizeObserver(() => this.plot.setSize({ width: chart.clientWidth, height: HEIGHT })).observe(chart);
  }

  /** A value a line; null where nothing is known, which breaks the line. */
  add(date, values) {
    const now = date.valueOf() / 1000;
    this.data[0].push(now);
    values.forEach((value, i) => this.data[i + 1].push(value ?? null));
    while (this.data[0][0] < now - MINUTES * 60) this.data.forEach((column) => column.shift());
    this.plot.setData(this.data, false);
    this.plot.setScale("x", { min: Math.min(this.data[0][0], now - 60), max: now });
    this.describe(this.plot.cursor.idx);
  }

  /** In words: the moment under the pointer, or else the whole span. */
  describe(at) {
    const parts = this.names.map((name, i) => {
      const known = this.data[i + 1].filter((value) => value !== null);
      if (at !== null && at !== undefined) return `${name} ${measure(this.data[i + 1][at])}`;
      if (!known.length) return `${name} not measured`;
      return `${name} now ${measure(known.at(-1))}, lowest ${measure(Math.min(...known))}, highest ${measure(Math.max(...known))}`;
    });
    const when = at !== null && at !== undefined ? timeOfDay(new Date(this.data[0][at] * 1000)) : `Last ${MINUTES} min`;
    write(this.summary, `${when}: ${parts.join("; ")} ${this.unit}`.trim());
  }
}

/** Bins of a distribution as `{low, high, live, trained}`. Edges may leave out the outermost two, 0 and 1. */
export function bins({ edges, shares, reference }) {
  if (!edges?.length || !reference?.length) return [];
  const all = edges.length === reference.length + 1 ? edges : [0, ...edges, 1];
  return reference.map((trained, i) => ({ low: all[i], high: all[i + 1], live: shares?.[i] ?? null, trained }));
}

/** Pairs of bars, `width` pixels wide: filled is live, outlined is training. */
export function distribution(rows, width) {
  const height = 190, bottom = 160, step = width / rows.length;
  const highest = Math.max(...rows.flatMap((row) => [row.live ?? 0, row.trained]), 0.01);
  const scale = (share) => (share / highest) * (bottom - 22);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "bars" });
  rows.forEach((row, i) => {
    const left = i * step, wide = step * 0.38;
    const bar = (share, offset, kind) =>
      svg("rect", { class: kind, x: left + offset, y: bottom - scale(share), width: wide, height: scale(share) });
    picture.append(bar(row.live ?? 0, step * 0.1, "live"), bar(row.trained, step * 0.52, "trained"));
    if (row.live) {
      const label = svg("text", { x: left + step * 0.29, y: bottom - scale(row.live) - 5, class: "value" });
      label.append((row.live * 100).toFixed(0));
      picture.append(label);
    }
  });
  picture.append(svg("line", { class: "base", x1: 0, x2: width, y1: bottom, y2: bottom }));
  rows.slice(1).forEach((row, i) => {
    const label = svg("text", { x: (i + 1) * step, y: bottom + 18, class: "edge" });
    label.append(short(row.low));
    picture.append(label);
  });
  return picture;
}

const short = (edge) => edge.toFixed(2).replace(/^0/, "");

/** What the picture shows, in a sentence. */
export function distributionInWords(rows) {
  const seen = rows.filter((row) => row.live !== null);
  if (!seen.length) return "Nothing predicted yet; the outlined bars are training's.";
  const gap = (row) => Math.abs(row.live - row.trained);
  const widest = seen.reduce((most, row) => (gap(row) > gap(most) ? row : most));
  return `Furthest from training: ${widest.low.toFixed(2)} to ${widest.high.toFixed(2)} holds `
    + `${percent(widest.live)} of the predictions, ${percent(widest.trained)} in training.`;
}

/** What is possible (thin), what training saw (thick), the last value (a mark). The numbers are beside it. */
export function strip({ possible, seen, last }) {
  const width = 120, [low, high] = possible;
  const place = (value) => 4 + ((Math.min(Math.max(value, low), high) - low) / (high - low || 1)) * (width - 8);
  const picture = svg("svg", { class: "strip", viewBox: `0 0 ${width} 16`, "aria-hidden": "true" },
    svg("line", { class: "possible", x1: 4, x2: width - 4, y1: 8, y2: 8 }));
  if (seen) picture.append(svg("rect", { class: "seen", x: place(seen[0]), y: 5, width: Math.max(place(seen[1]) - place(seen[0]), 1), height: 6 }));
  if (last !== null && last !== undefined) {
    const outside = seen && (last < seen[0] || last > seen[1]);
    picture.append(svg("rect", { class: outside ? "last outside" : "last", x: place(last) - 2, y: 0, width: 4, height: 16 }));
  }
  return picture;
}

/** A share as a bar. Its number is beside it. */
export const meter = (value) =>
  svg("svg", { viewBox: "0 0 60 8", preserveAspectRatio: "none", "aria-hidden": "true", class: "meter" },
    svg("rect", { class: "possible", x: 0, y: 0, width: 60, height: 8 }),
    svg("rect", { class: "seen", x: 0, y: 0, width: 60 * (value ?? 0), height: 8 }));

/** A probability: its number and a bar. */
export const probability = (value) =>
  element("span", { class: "probability" }, element("span", { class: "numeric" }, percent(value)), meter(value));

const SYMBOLS = { quiet: "", watch: "▲ ", alert: "■ " };

/** A feature's state: a shape and a word, not a colour alone. */
export const state = (name) =>
  element("span", { class: `state ${name}` }, element("span", { "aria-hidden": "true" }, SYMBOLS[name] ?? ""), name);
