"""The detection matrix for people: a table, a picture, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from labserver.capacity.detection import WATCHED_DAYS, Episode, Matrix, Trial
from labserver.capacity.faults import FAULTS
from labserver.monitor import thresholds

MEANINGS = {fault.name: fault.meaning for fault in FAULTS}
WITHIN_HOURS = 24
PAGE_COLOUR, TICKET_COLOUR, UNSEEN_COLOUR = "#c55a11", "#1f4e79", "#7f7f7f"


def table(matrix: Matrix) -> str:
    """Markdown: a row for each fault, the worst first; then what rang without one."""
    rows = sorted(matrix.trials.items(), key=lambda row: -mean(trial.changed for trial in row[1]))
    lines = [
        "| fault | decisions changed | cost per 1,000 flights | found after, h | alert | page after, h |",
        "|---|---|---|---|---|---|",
        *(_row(name, trials) for name, trials in rows),
        "",
        _verdict(matrix),
        "",
        *_year(matrix.year),
    ]
    return "\n".join(lines)


def _row(name: str, trials: Sequence[Trial]) -> str:
    changed = f"{mean(trial.changed for trial in trials):.1%}"
    cost = f"{mean(trial.cost for trial in trials):+.0f}"
    names = [trial.first.name for trial in trials if trial.first]
    alert = max(sorted(set(names)), key=names.count) if names else ""
    first = _hours([trial.first.hours if trial.first else None for trial in trials])
    page = _hours([trial.page.hours if trial.page else None for trial in trials])
    return f"| {MEANINGS[name]} | {changed} | {cost} | {first} | {alert} | {page} |"


def _hours(found: Sequence[int | None]) -> str:
    """Each trial's hours; a dash where nothing was found."""
    return ", ".join("–" if hours is None else str(hours) for hours in found)


def _verdict(matrix: Matrix) -> str:
    """How many of the faults that matter were found in time."""
    trials = [trial for trials in matrix.trials.values() for trial in trials]
    matter = [trial for trial in trials if trial.changed >= thresholds.DECISIONS_CHANGED]
    found = [trial for trial in matter if trial.first and trial.first.hours <= WITHIN_HOURS]
    return (
        f"Of {len(matter)} trials whose fault changes {thresholds.DECISIONS_CHANGED:.0%} of the decisions or more, "
        f"{len(found)} were found within {WITHIN_HOURS} hours. Each fault began at four moments; a dash is a beginning "
        f"after which it was not found in {WATCHED_DAYS} days."
    )


def _year(episodes: Sequence[Episode]) -> list[str]:
    pages = [episode for episode in episodes if episode.severity == "page"]
    lines = [
        f"Without a fault, from February to December: {len(pages)} pages and {len(episodes) - len(pages)} tickets.",
        "",
        "| day | severity | alert | feature | detail |",
        "|---|---|---|---|---|",
    ]
    for episode in episodes:
        about = episode.feature or "predictions"
        lines.append(f"| {episode.day} | {episode.severity} | {episode.name} | {about} | {episode.detail} |")
    return lines


def to_json(matrix: Matrix) -> dict[str, Any]:
    """Everything."""
    return asdict(matrix)


def picture(matrix: Matrix) -> Figure:
    """A row for each fault, the worst on top, and in it a point for each beginning: when it was found, and how."""
    rows = sorted(matrix.trials.items(), key=lambda row: mean(trial.changed for trial in row[1]))
    never = 2 * WATCHED_DAYS * 24
    figure = Figure(figsize=(10, 1.5 + 0.24 * len(rows)), dpi=120, layout="constrained")
    axes = figure.subplots()
    for kind, colour, marker in (
        ("ticket", TICKET_COLOUR, "s"),
        ("page", PAGE_COLOUR, "o"),
        ("not found", UNSEEN_COLOUR, "x"),
    ):
        points = [(hours, at) for at, (_, trials) in enumerate(rows) for hours in _times(trials, kind, never)]
        hours, places = zip(*points, strict=True) if points else ((), ())
        axes.plot(hours, places, marker, color=colour, markersize=5, alpha=0.8, label=kind, linestyle="none")
    labels = [f"{MEANINGS[name]}, {mean(trial.changed for trial in trials):.1%}" for name, trials in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.axvline(WITHIN_HOURS, color=UNSEEN_COLOUR, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    ticks = {1: "1 h", 3: "3 h", 6: "6 h", 12: "12 h", 24: "a day", 72: "3 days", 168: "a week", 672: "4 weeks"}
    axes.set_xticks([*ticks, never], [*ticks.values(), "never"])
    axes.minorticks_off()
    axes.margins(y=0.02)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("simulated time until it was found; percentages are of the first week's decisions that changed")
    figure.suptitle(_verdict(matrix).partition(". ")[0] + ".", x=0.01, ha="left", fontsize=10, weight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", fontsize=8)
    return figure


def _times(trials: Sequence[Trial], kind: str, never: int) -> list[float]:
    """Hours until a ticket that came before a page, or until the page; not less than one: the axis is logarithmic."""
    if kind == "not found":
        return [never for trial in trials if not trial.first]
    alarms = [trial.page if kind == "page" else trial.first for trial in trials]
    tickets = [alarm for alarm, trial in zip(alarms, trials, strict=True) if kind == "page" or alarm != trial.page]
    return [max(1.0, float(alarm.hours)) for alarm in tickets if alarm]
