"""What the notebooks share: live services, a fair comparison, claims and pictures."""

from __future__ import annotations

import base64
import io
import math
import os
import statistics
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import requests
from cycler import cycler
from IPython.display import publish_display_data as _publish
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from labserver.capacity import process
from labserver.errors import LabError
from labserver.settings import Settings
from labserver.sources.warehouse import open_warehouse

FOLDER = Path(__file__).resolve().parent
HOME = FOLDER.parent / os.environ.get("LABSERVER_HOME", "var")
"""Everything that `labserver build` made. Notebooks read it and never write into it."""

for variable in [name for name in os.environ if name.startswith("LABSERVER_")]:
    if variable not in {"LABSERVER_URL", "LABSERVER_API_KEY"}:
        del os.environ[variable]  # a stage is what its notebook says, whatever the shell says
os.environ["LABSERVER_HOME"] = str(HOME)

threadpool_limits(1)
"""A notebook leaves the other cores to the services it measures. Import scikit-learn first: it brings the threads."""

publish: Callable[..., None] = _publish

RECORD = "application/scrapbook.scrap.json+json"
"""The type of output that carries the record of a claim."""


class CannotStart(LabError):
    """A service does not answer, or did not start."""

    def _render_traceback_(self) -> list[str]:
        return [
            str(self)
        ]  # all that a notebook shows: the sentence is for people, the stack is not


class ClaimFailed(AssertionError):
    """What was measured is not what was claimed."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


# ---- live services ----


class Live:
    """A service that answers at ``url``, and one kept-alive connection to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands between a notebook and this machine
        if key := os.environ.get("LABSERVER_API_KEY"):
            self.session.headers["X-API-Key"] = key

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=30)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=30)


def service() -> Live:
    """The finished service: the one at LABSERVER_URL, or the one that `make lab` starts.

    Raises:
        CannotStart: if none answers there; says how to start it.
    """
    live = Live(os.environ.get("LABSERVER_URL", "http://127.0.0.1:8000").rstrip("/"))
    try:
        live.get("/v1/model").json()["bundle_hash"]
    except (requests.RequestException, ValueError, KeyError):
        raise CannotStart(
            f"No lab service answers at {live.url}. Start it in a terminal with `make serve`, then run this cell again."
        ) from None
    return live


class Started(Live):
    """A service in a process of its own, with a home of its own: what was built, by links, and its own state.

    It ends with its ``with`` block, with :meth:`stop`, or with the kernel, however that ends. Start it from the
    kernel's main thread: Linux takes the thread that started a process for its parent.

    Attributes:
        home: its folder, gone when it is.
        log: the file with its output.
        pid: its process id, and the parent of its workers if it has several.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], ready: str) -> None:
        stack = ExitStack()
        self._end = weakref.finalize(
            self, stack.close
        )  # also when a cell is run twice, or never stops it
        self.home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labserver-")))
        for name in ("bundle", "warehouse.duckdb", "teaching"):
            (self.home / name).symlink_to((HOME / name).resolve())
        port = process.free_port()
        environment = {
            "LABSERVER_HOME": str(self.home),
            "LABSERVER_DRAIN_SECONDS": "0",
            **environment,
        }
        try:
            server = stack.enter_context(
                process.started(
                    [*command, "--port", str(port)], port, self.home, environment=environment
                )
            )
            server.await_ready(ready)
        except BaseException:
            self.stop()
            raise
        super().__init__(server.url)
        self.log, self.pid = server.log, server.process.pid

    def stop(self) -> None:
        """End the process. A second call does nothing."""
        self._end()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _start(
    name: str, command: Sequence[str], environment: Mapping[str, str], ready: str
) -> Started:
    try:
        return Started(command, environment, ready)
    except LabError as error:
        if "already in use" in str(error):  # somebody took the port between our look and our use
            return _start(name, command, environment, ready)
        raise CannotStart(
            f"{name} did not start. {str(error).split('error: ')[-1][-400:]}"
        ) from None


def stage(
    lesson: int, parts: Path | None = None, *, workers: int = 1, **settings: object
) -> Started:
    """The service as it stands after a lesson.

    Args:
        lesson: 0 to 9.
        parts: a file or folder of parts that replace the shipped ones.
        workers: worker processes.
        settings: any of ``labserver.settings.Settings``, such as ``threads=2``.

    Raises:
        CannotStart: with the service's own sentence, if it refuses to start.
    """
    if unknown := settings.keys() - Settings.model_fields.keys():
        raise CannotStart(
            f"There is no setting {', '.join(sorted(unknown))}. They stand in labserver/settings.py."
        )
    chosen = {"lesson": lesson, **({"parts": parts} if parts else {}), **settings}
    environment = {f"LABSERVER_{name.upper()}": str(value) for name, value in chosen.items()}
    command = [sys.executable, "-m", "labserver.cli", "serve", "--workers", str(workers)]
    return _start(f"Stage {lesson}", command, environment, "/readyz")


def app(target: str, **environment: str) -> Started:
    """A FastAPI application from a file beside the notebooks, such as ``"lesson_00_app:app"``, run by uvicorn."""
    command = [sys.executable, "-m", "uvicorn", target, "--app-dir", str(FOLDER)]
    environment = {
        "OMP_NUM_THREADS": "1",
        **environment,
    }  # threads that wait for one another wait busily
    return _start(target, command, environment, "/openapi.json")


def flights(day: str, number: int) -> list[dict[str, Any]]:
    """At most ``number`` flights, spread over a day such as ``"2013-10-15"``, as bodies of requests."""
    with open_warehouse(HOME / "warehouse.duckdb") as db:
        rows = db.execute(
            """SELECT carrier, flight, origin, dest, tailnum, scheduled_departure FROM flights
            WHERE day = $day ORDER BY flight_id""",
            {"day": date.fromisoformat(day)},
        ).fetchall()
    names = ("carrier", "flight", "origin", "dest", "tailnum")
    return [
        dict(zip(names, row, strict=False)) | {"scheduled_departure": row[-1].isoformat()}
        for row in spread(rows, number)
    ]


def spread(items: Sequence[Any], number: int) -> Sequence[Any]:
    """At most ``number`` of the items, at equal distances."""
    return items[:: max(1, -(-len(items) // number))]


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


def claim(lesson: int, name: str, value: float, unit: str, **bound: float) -> None:
    """Assert what was measured, say so in one line, and leave a record (:data:`RECORD`) in the notebook.

    Args:
        lesson: 0 to 9.
        name: what was measured; the same in every run.
        value: the measurement.
        unit: of the value and of the bound.
        bound: one of ``at_least``, ``at_most`` and ``equals``.

    Raises:
        ClaimFailed: if the value does not keep to the bound; NaN keeps to none.
    """
    [(kind, limit)] = bound.items()
    holds = {"at_least": value >= limit, "at_most": value <= limit, "equals": value == limit}[kind]
    sentence = f"Lesson {lesson}: {name}: {kind.replace('_', ' ')} {limit:,g} {unit}".replace(
        "equals", "exactly"
    )
    measured = f"{value:,.4g} {unit}"
    content = {
        "lesson": lesson,
        "name": name,
        "value": float(value) if math.isfinite(value) else None,
        "unit": unit,
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
    publish({"text/plain": sentence, "text/html": shown, RECORD: record | {"version": 1}})
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
    """Put the figure into the notebook with ``alt``, the words for whoever does not see it; the same in every run."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    data = {"image/png": base64.b64encode(image.getvalue()).decode(), "text/plain": alt}
    publish(data, {"image/png": {"alt": alt, "width": 780}})
