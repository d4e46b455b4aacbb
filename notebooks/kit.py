"""What the notebooks share: live services (see ``live``), a fair comparison, claims and pictures."""

from __future__ import annotations

import base64
import io
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import requests
from cycler import cycler
from IPython.display import publish_display_data
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import threadpool_limits

from exercises.checks.flights import spread
from exercises.lab.record import CLAIM_TYPE
from live import HOME, CannotStart, Live, Started, app, flights, service, stage

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "HOME",
    "ORANGE",
    "PURPLE",
    "CannotStart",
    "ClaimFailed",
    "Comparison",
    "Live",
    "Started",
    "app",
    "claim",
    "compare",
    "flights",
    "picture",
    "service",
    "show",
    "spread",
    "stage",
]

threadpool_limits(1)
"""A notebook leaves the other cores to the services it measures. Import scikit-learn first: it brings the threads."""

publish: Callable[..., None] = publish_display_data


# ---- a fair comparison ----


@dataclass(frozen=True)
class Comparison:
    """For each name the seconds that one call took: the median of each round."""

    seconds: Mapping[str, list[float]]

    def milliseconds(self, name: str) -> float:
        """The median round of ``name``."""
        return statistics.median(self.seconds[name]) * 1e3

    def ratio(self, slow: str, fast: str) -> float:
        """How many times as long ``slow`` takes: the median of the rounds' ratios, so a slow spell of the machine,
        which meets both, counts for neither.
        """
        return statistics.median(
            s / f for s, f in zip(self.seconds[slow], self.seconds[fast], strict=True)
        )


def compare(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 5, each: int = 20
) -> Comparison:
    """Time calls against one another, one at a time, in rounds that begin with another call each.

    Args:
        calls: name to call. A call that returns an HTTP answer must return a good one: errors are fast.
        rounds: how often everybody has a turn.
        each: calls in one turn. One more goes ahead of the first round, unmeasured.

    Raises:
        requests.HTTPError: for an answer of 400 or more.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for number in range(rounds):
        names = list(calls)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(statistics.median(_seconds(calls[name]) for _ in range(each)))
    return Comparison(seconds)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    answer = call()
    taken = time.perf_counter() - started
    if isinstance(answer, requests.Response):
        answer.raise_for_status()
    return taken


# ---- claims ----


class ClaimFailed(AssertionError):
    """What was measured is not what was claimed."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def claim(lesson: int, name: str, value: float, unit: str, where: str = "", **bound: float) -> None:
    """Assert what was measured, say so in one line, and leave a record (of type ``CLAIM_TYPE``) in the notebook.

    Args:
        lesson: 0 to 9.
        name: what was measured; the same in every run.
        value: the measurement.
        unit: of the value and of the bound.
        where: what it was measured in, if machines differ in that.
        bound: one of ``at_least``, ``at_most`` and ``equals``.

    Raises:
        ClaimFailed: if the value does not keep to the bound; NaN keeps to none.
    """
    [(kind, limit)] = bound.items()
    holds = {"at_least": value >= limit, "at_most": value <= limit, "equals": value == limit}[kind]
    sentence = f"Lesson {lesson}: {name}: {kind.replace('_', ' ')} {limit:,g} {unit}".replace(
        "equals", "exactly"
    )
    measured = f"{value:,{'.0f' if abs(value) >= 1e4 else '.4g'}} {unit}{where and ', in '}{where}"
    content = {
        "lesson": lesson,
        "name": name,
        "value": float(value) if math.isfinite(value) else None,
        "unit": unit,
        **({"where": where} if where else {}),
    }
    record = {
        "name": f"lesson {lesson}: {name}",
        "data": content | {"bound": {kind: limit}},
        "encoder": "json",
    }
    shown = (
        f"<p>{'✔' if holds else '✘'} <b>{escape(sentence)}</b><br>"
        f'measured now: <span class="measured">{escape(measured)}</span></p>'
    )
    publish({"text/plain": sentence, "text/html": shown, CLAIM_TYPE: record | {"version": 1}})
    if not holds:
        raise ClaimFailed(f"{sentence}; measured: {measured}")


# ---- pictures ----

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6B6B6B"
"""Told apart by colour-blind readers too. Source: Okabe and Ito, "Color Universal Design", 2008."""

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, GREY]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "font.size": 13,
    "grid.color": "#E2E2E2",
    "legend.frameon": False,
    "lines.linewidth": 2.5,
}


def picture(finding: str, x: str = "", y: str = "") -> tuple[Figure, Axes]:
    """A figure whose title is the finding; ``x`` and ``y`` name the axes, with units."""
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    axes.set(title=fill(finding, 70), xlabel=x, ylabel=y, axisbelow=True)
    return figure, axes


def show(figure: Figure, alt: str) -> None:
    """Put the figure into the notebook with ``alt``, the words for whoever does not see it; the same in every run.

    JupyterLab and nbconvert know no alternative text for an ``image/png``, so the same picture goes out as HTML too,
    which they prefer. 128 colours are enough for it and take a third of the space.
    """
    drawn, image = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(128).save(image, format="png", optimize=True)
    png = base64.b64encode(image.getvalue()).decode()
    shown = f'<img alt="{escape(alt)}" width="780" src="data:image/png;base64,{png}">'
    data = {"image/png": png, "text/html": shown, "text/plain": alt}
    publish(data, {"image/png": {"alt": alt, "width": 780}})
