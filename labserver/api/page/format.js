// Numbers and times for reading. What is not known is a dash.

export const NONE = "–";
const NEW_YORK = "America/New_York";

const decimals = [0, 1, 2, 3].map((most) => new Intl.NumberFormat("en", { maximumFractionDigits: most }));

/** Whether there is a number at all. */
export const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** A count, with separators. */
export const count = (value) => (known(value) ? decimals[0].format(value) : NONE);

/** A rate or a time: three digits where that is enough. */
export function measure(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  return size >= 100 || size === 0 ? decimals[0].format(value) : value.toFixed(size >= 10 ? 1 : 2);
}

/** A number with a fixed count of decimals, so that a column lines up. */
export const decimal = (value, digits) => (known(value) ? value.toFixed(digits) : NONE);

/** A share as a percentage. */
export const percent = (value, digits = 1) => (known(value) ? `${(value * 100).toFixed(digits)}\u00a0%` : NONE);

/** A feature's value: as many decimals as its size bears. */
export function quantity(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  const digits = size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return decimals[digits].format(value);
}

/** Both ends of a range. */
export const range = (ends) => (ends ? `${quantity(ends[0])} to ${quantity(ends[1])}` : NONE);

/** A length of time in the unit that fits. */
export function duration(seconds) {
  if (!known(seconds)) return NONE;
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length * (unit === "min" ? 1 : 2)) return `${quantity(Math.round((seconds / length) * 10) / 10)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

const formats = new Map();
function formatted(moment, options) {
  const name = JSON.stringify(options);
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options }));
  return formats.get(name).format(moment);
}

const DAY_AND_TIME = { timeZone: NEW_YORK, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** A moment of the simulated world, as New York's clocks show it: "1 Sept 2013, 05:16". */
export const moment = (text) => (text ? formatted(new Date(text), { year: "numeric", ...DAY_AND_TIME }) : NONE);

/** The same without the year, for tables. */
export const shortMoment = (text) => (text ? formatted(new Date(text), DAY_AND_TIME) : NONE);

/** A time of the reader's own day: "10:14:03". */
export const timeOfDay = (date) => formatted(date, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A date of the reader's own calendar. */
export const wallClock = (text) =>
  text ? formatted(new Date(text), { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }) : NONE;

/** "2013-09-01T05:16", as New York's clocks show a moment: the value of a datetime-local field. */
export function newYorkLocal(date) {
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: NEW_YORK, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  });
  return parts.format(date).replace(" ", "T");
}

/** RFC 3339 for a time read off New York's clocks. Of an hour that comes twice in November, the first. */
export function fromNewYork(local) {
  for (const offset of ["-04:00", "-05:00"]) {
    const candidate = `${local.length === 16 ? `${local}:00` : local}${offset}`;
    const date = new Date(candidate);
    if (!Number.isNaN(date.valueOf()) && newYorkLocal(date) === local.slice(0, 16)) return candidate;
  }
  return local; // no such time: the service says what it takes
}
