// Asks the board every few seconds and shows what changed. Everything that learners chose goes in as text, never as HTML.
const SECONDS = 3;
const WORDS = { "solved": "solved", "not yet": "not yet", "not attempted": "not attempted" };
const $ = (id) => document.getElementById(id);
const rows = new Map();
let key = "";
let tag = "";
let shown = null;
let ahead = 0; // seconds that this clock is ahead of the board's
let timer = 0;

function element(name, text, ...classes) {
  const made = document.createElement(name);
  made.append(text);
  made.classList.add(...classes.filter(Boolean));
  return made;
}

function text(id, value) {
  if ($(id).textContent !== value) $(id).textContent = value;
}

// The key comes in the link's fragment, which browsers send to nobody. It leaves the address bar at once: this page is
// projected. sessionStorage belongs to this tab and this port.
function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    sessionStorage.setItem("key", given);
    history.replaceState(null, "", location.pathname);
  }
  key = sessionStorage.getItem("key") ?? "";
}

function signIn(message) {
  sessionStorage.removeItem("key");
  clearTimeout(timer);
  tag = "";
  $("results").hidden = $("join").hidden = true;
  $("sign-in").hidden = false;
  text("key-error", message);
  connection("waiting", "Not connected");
  $("key").focus();
}

function connection(state, words) {
  $("connection").dataset.state = state;
  text("connection", words); // read aloud only when it changes
}

function ask(path, headers = {}) {
  return fetch(path, {
    headers: { Authorization: `Bearer ${key}`, ...headers }, cache: "no-store", signal: AbortSignal.timeout(10_000),
  });
}

async function look() {
  clearTimeout(timer);
  try {
    const answer = await ask("board", tag ? { "If-None-Match": tag } : {});
    if (answer.status === 401) return signIn("This key is not the board's.");
    if (answer.status === 200) {
      shown = await answer.json();
      tag = answer.headers.get("ETag") ?? "";
      ahead = Date.now() / 1000 - shown.now;
      show();
    } else if (answer.status !== 304) throw new Error(`status ${answer.status}`);
    showTimes();
    connection("live", "Live");
  } catch (error) {
    connection("away", "The board does not answer; these are the last results");
  }
  timer = setTimeout(look, SECONDS * 1000);
}

function show() {
  $("sign-in").hidden = true;
  $("results").hidden = $("join").hidden = false;
  text("command", `lab join ${shown.code} --board ${shown.board}`);
  text("stuck-limit", String(shown.stuck_attempts));
  showLessons();
  showLearners();
}

function showLessons() {
  const begun = shown.lessons.map((lesson, number) => ({ ...lesson, number })).filter((l) => l.solved + l.trying > 0);
  $("none-begun").hidden = begun.length > 0;
  $("lessons").hidden = begun.length === 0;
  const stuck = begun.filter((lesson) => lesson.is_stuck).map((lesson) => lesson.number);
  text("lessons-note", stuck.length ? `▲ stuck: lesson ${stuck.join(", ")}` : begun.length ? "none is stuck" : "");
  $("lessons").tBodies[0].replaceChildren(...begun.map(lessonRow));
}

function lessonRow(lesson) {
  const row = element("tr", "", lesson.is_stuck && "is-stuck");
  const title = element("th", element("span", `${lesson.is_stuck ? "▲ " : ""}${lesson.number}`, "lesson"));
  title.scope = "row";
  title.append(lesson.title);
  const since = element("td", "–", "number", "since");
  if (lesson.begun) since.dataset.begun = lesson.begun;
  const wrong = lesson.wrong;
  const counts = [lesson.solved, lesson.trying, lesson.stuck, lesson.attempts ?? "–"];
  row.append(title, ...counts.map((count) => element("td", String(count), "number")), since,
    element("td", wrong ? `${wrong.failing} · ${wrong.learners} ${wrong.learners === 1 ? "learner" : "learners"}` : "–"));
  return row;
}

function showTimes() {
  const now = Date.now() / 1000 - ahead;
  for (const cell of document.querySelectorAll("#lessons .since[data-begun]")) {
    const minutes = Math.max(0, Math.floor((now - Number(cell.dataset.begun)) / 60));
    cell.textContent = minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
  }
}

function showLearners() {
  const { learners, lessons } = shown;
  $("none-joined").hidden = learners.length > 0;
  $("learners").hidden = learners.length === 0;
  text("learners-count", learners.length ? `${learners.length} joined` : "");
  if (!$("learners").tHead.rows.length) {
    const head = element("tr", element("th", "Pseudonym"));
    lessons.forEach((lesson, number) => head.append(Object.assign(element("th", String(number)), { title: lesson.title })));
    for (const cell of head.cells) cell.scope = "col";
    $("learners").tHead.append(head);
  }
  const now = learners.map(learnerRow);
  const body = $("learners").tBodies[0];
  if (now.length !== body.rows.length || now.some((row, place) => row !== body.rows[place])) body.replaceChildren(...now);
}

// A row is made anew only when something in it has changed.
function learnerRow(learner) {
  const said = JSON.stringify(learner);
  const known = rows.get(learner.name);
  if (known?.said === said) return known.row;
  const name = Object.assign(element("th", learner.name), { scope: "row", title: learner.name });
  const row = element("tr", name);
  learner.results.forEach((result, lesson) => row.append(resultCell(result, lesson === learner.at)));
  rows.set(learner.name, { said, row });
  return row;
}

function resultCell(result, here) {
  if (!result) return element("td", "");
  const [state, attempts] = result;
  const stuck = state === "not yet" && attempts >= shown.stuck_attempts;
  const sign = { "solved": "✔", "not yet": stuck ? "▲" : "○", "not attempted": "·" }[state];
  const cell = element("td", "", state === "solved" ? "solved" : stuck ? "stuck" : "trying", here && "here");
  const signs = element("span", attempts ? `${sign} ${attempts}` : sign);
  signs.setAttribute("aria-hidden", "true");
  const words = [stuck ? "stuck" : WORDS[state], attempts && `${attempts} ${attempts === 1 ? "check" : "checks"}`, here && "is here now"];
  cell.append(signs, element("span", words.filter(Boolean).join(", "), "unseen"));
  return cell;
}

async function download() {
  try {
    const answer = await ask("results.csv");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await answer.blob()), download: "results.csv" });
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    connection("away", "The board does not answer");
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  sessionStorage.setItem("key", key);
  $("key").value = "";
  text("key-error", "");
  look();
});
$("csv").addEventListener("click", download);
addEventListener("hashchange", () => { takeKey(); look(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && key) look(); });
takeKey();
if (key) look();
else signIn("");
