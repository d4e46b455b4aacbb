"""Three pictures of a measurement. Each title states the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labserver.capacity.arc import MeasuredStage
from labserver.capacity.measure import Measured
from labserver.capacity.plan import Target

MEASURED_COLOUR, FITTED_COLOUR, LIMIT_COLOUR = "#1f4e79", "#c55a11", "#7f7f7f"


def draw(measured: Measured, target: Target, folder: Path) -> list[Path]:
    """Write ``throughput.png``, ``latency.png`` and ``memory.png`` into ``folder``, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, picture in (("throughput", _throughput), ("latency", _latency), ("memory", _memory)):
        figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
        axes = figure.subplots()
        picture(axes, measured, target)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
        axes.legend(
            facecolor="white", edgecolor="none", framealpha=1, loc="upper left" if name == "latency" else "lower right"
        )
        drawn.append(folder / f"{name}.png")
        figure.savefig(drawn[-1])
    return drawn


def arc(steps: Sequence[MeasuredStage]) -> Figure:
    """The ten stages: requests/s as bars on a logarithmic axis, p99 and memory below."""
    figure = Figure(figsize=(9, 7), dpi=120, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    stages = [step.stage for step in steps]
    first, last = steps[0], steps[-1]
    saved = last.memory_mib / first.memory_mib
    finding = f"From {first.rate:,.0f} to {last.rate:,.0f} requests/s in {saved:.0%} of the memory, and it is watched"
    figure.suptitle(finding, x=0.01, ha="left", weight="bold")
    columns = (
        ("requests/s", [step.rate for step in steps], MEASURED_COLOUR),
        ("p99, ms", [step.p99_ms for step in steps], FITTED_COLOUR),
        ("memory, MiB", [step.memory_mib for step in steps], LIMIT_COLOUR),
    )
    for axes, (name, values, colour) in zip(panels, columns, strict=True):
        bars = axes.bar(stages, values, color=colour)
        axes.bar_label(bars, [f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in values], fontsize=9)
        axes.set_yscale("log" if name != "memory, MiB" else "linear")
        axes.set_ylabel(name)
        axes.margins(y=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xticks(stages)
    panels[-1].set_xlabel("stage: the service as it stands after the lesson of that number")
    return figure


def _throughput(axes: Axes, measured: Measured, target: Target) -> None:
    law, workers = measured.worker.law, measured.run.workers
    users = np.array([level.users for level in measured.levels])
    smooth = np.linspace(users[0], users[-1], 200)
    axes.plot(
        users, [level.throughput for level in measured.levels], "o", color=MEASURED_COLOUR, label="measured (Locust)"
    )
    axes.plot(
        smooth,
        [workers * law.throughput(n / workers) for n in smooth],
        color=FITTED_COLOUR,
        label=f"law: sigma {law.contention:.3f}, kappa {law.coherency:.5f}",
    )
    best = max(measured.levels, key=lambda level: level.throughput)
    if law.peak_users * workers < users[-1]:
        axes.axvline(law.peak_users * workers, color=LIMIT_COLOUR, linestyle=":", label="peak of the law")
        finding = f"Beyond {law.peak_users * workers:.0f} users, more users get less"
    else:
        enough = next(level for level in measured.levels if level.throughput >= 0.9 * best.throughput)
        finding = f"{best.throughput:,.0f} requests/s at most; {enough.users} users get nine tenths of it"
    axes.set(title=finding, xlabel="concurrent users (closed loop)", ylabel="requests/s")


def _latency(axes: Axes, measured: Measured, target: Target) -> None:
    points = [point for point in measured.points if math.isfinite(point.p99_ms)]
    rates = [point.rate for point in points]
    axes.plot(rates, [point.p99_ms for point in points], "o-", color=MEASURED_COLOUR, label="p99 (open loop)")
    axes.plot(rates, [point.p50_ms for point in points], "o-", color=FITTED_COLOUR, label="p50 (open loop)")
    axes.axhline(target.p99_ms, color=LIMIT_COLOUR, linestyle=":", label=f"target: p99 of {target.p99_ms:g} ms")
    within = measured.worker.rate_within(target.p99_ms) * measured.run.workers
    finding = f"p99 stays within {target.p99_ms:g} ms up to {within:,.0f} requests/s"
    axes.set(
        title=finding if within else f"p99 exceeds {target.p99_ms:g} ms at every rate",
        xlabel="requests/s asked for",
        ylabel="milliseconds from when it was due",
    )


def _memory(axes: Axes, measured: Measured, target: Target) -> None:
    start, memory = measured.start_up, measured.worker.memory
    axes.plot(start.seconds, start.mib, color=MEASURED_COLOUR)
    axes.axvline(
        start.ready_seconds, color=LIMIT_COLOUR, linestyle=":", label=f"ready after {start.ready_seconds:.1f} s"
    )
    axes.axhline(
        memory.alone, color=FITTED_COLOUR, linestyle="--", label=f"after the first requests: {memory.alone:.0f} MiB"
    )
    axes.set(
        title=f"A worker needs {memory.alone:.0f} MiB; {memory.fitting(target.memory_mib)} fit into "
        f"{target.memory_mib:,.0f} MiB",
        xlabel="seconds from the start",
        ylabel="MiB (PSS)",
    )
