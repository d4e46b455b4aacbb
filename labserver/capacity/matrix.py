"""The detection matrix for people: a table, a picture, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, median
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
    """A point for each fault: decisions changed against the hours until it was found, page or ticket."""
    figure = Figure(figsize=(10, 6.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    never = WATCHED_DAYS * 24
    groups = (
        ("page", PAGE_COLOUR, "o"),
        ("ticket only", TICKET_COLOUR, "s"),
        ("not found", UNSEEN_COLOUR, "x"),
    )
    placed: dict[str, list[tuple[float, float, str]]] = {name: [] for name, _, _ in groups}
    for name, trials in matrix.trials.items():
        hours = median(trial.first.hours if trial.first else never for trial in trials)
        kind = "not found" if hours >= never else "page" if _paged(trials) else "ticket only"
        placed[kind].append((max(hours, 0.7), 100 * mean(trial.changed for trial in trials), name))
    for kind, colour, marker in groups:
        for number, (hours, changed, name) in enumerate(placed[kind]):
            axes.plot(hours, changed, marker, color=colour, markersize=7, label=kind if number == 0 else None)
            axes.annotate(name, (hours, changed), xytext=(5, 3), textcoords="offset points", fontsize=7.5)
    axes.axvline(WITHIN_HOURS, color=UNSEEN_COLOUR, linestyle="--", linewidth=1)
    axes.axhline(100 * thresholds.DECISIONS_CHANGED, color=UNSEEN_COLOUR, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    ticks = {1: "1 h", 3: "3 h", 6: "6 h", 12: "12 h", 24: "a day", 72: "3 days", 168: "a week", never: "never"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_yscale("symlog", linthresh=1)
    axes.set_yticks([0, 1, 2, 5, 10, 20], ["0", "1", "2", "5", "10", "20"])
    axes.set_xlabel("simulated time until found (median of four beginnings)")
    axes.set_ylabel("decisions changed in the first week, %")
    axes.set_title(_verdict(matrix).partition(". ")[0] + ".", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right")
    return figure


def _paged(trials: Sequence[Trial]) -> bool:
    """Whether at least half of the trials called somebody."""
    return sum(trial.page is not None for trial in trials) * 2 >= len(trials)
