"""The report of a measurement and its plan, as text for people and as JSON for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from labserver.capacity.measure import Measured
from labserver.capacity.plan import CapacityPlan, Target

LATENESS_SHARE = 0.3
"""Share of a p99 above which the generator's own delay spoils it."""


def text(measured: Measured, target: Target, plan: CapacityPlan) -> str:
    """Tables in Markdown, then the plan."""
    return "\n\n".join([_service(measured), _levels(measured), _points(measured), _plan(measured, target, plan)])


def to_json(measured: Measured, target: Target, plan: CapacityPlan) -> dict[str, Any]:
    """The report for JSON: infinite and missing numbers are null."""
    law = measured.worker.law
    found = {
        "measured": asdict(measured),
        "law": {**asdict(law), "peak_users": law.peak_users, "peak": law.peak},
        "target": asdict(target),
        "plan": {**asdict(plan), "met": plan.met},
    }
    return {name: _finite(value) for name, value in found.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _service(measured: Measured) -> str:
    run, memory, cores = measured.run, measured.worker.memory, measured.cores
    lines = [
        f"Stage {run.lesson}, workers: {run.workers}, threads in each: {run.threads}. "
        f"Service on core {_list(cores.service)}, load on core {_list(cores.load)}.",
        f"Memory (PSS): {memory.alone:.0f} MiB for one worker; {memory.worker:.0f} MiB each for several, and "
        f"{memory.supervisor:.0f} MiB to watch over them. Ready after {measured.start_up.ready_seconds:.1f} s.",
    ]
    if cores.shared:
        lines.append("Service and load share a core, so these figures are lower than the service's own.")
    return "\n".join(lines)


def _levels(measured: Measured) -> str:
    law, workers = measured.worker.law, measured.run.workers
    rows = [
        "Closed loop (Locust): each user waits for its answer, then asks again.\n",
        "| users | requests/s | the law | mean ms | p99 ms | cores busy |",
        "|---|---|---|---|---|---|",
    ]
    for level in measured.levels:
        expected = law.throughput(level.users / workers) * workers
        rows.append(
            f"| {level.users} | {level.throughput:,.0f} | {expected:,.0f} | {level.mean_ms:.2f} | {level.p99_ms:.0f} "
            f"| {level.busy:.2f} |"
        )
    peak = f"peak at {law.peak_users:.0f} users" if math.isfinite(law.peak_users) else "no peak"
    rows.append(
        f"\nScalability law of one worker: lambda {law.rate:,.0f} requests/s, sigma {law.contention:.4f}, "
        f"kappa {law.coherency:.6f}: {peak}, at most {law.peak:,.0f} requests/s."
    )
    if not measured.saturated:
        rows.append(
            f"The service had only {measured.levels[-1].busy:.2f} cores busy at the last level: Locust, or other work "
            "on this machine, was the limit, and the law describes that."
        )
    return "\n".join(rows)


def _points(measured: Measured) -> str:
    rows = [
        "Open loop: a constant rate, the wait counted from when a request was due. The plan uses this p99.\n",
        "| requests/s | p50 ms | p99 ms | generator late, p99 ms | requests |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {point.rate:,.0f} | {point.p50_ms:.2f} | {point.p99_ms:.2f} | {point.late_ms:.2f} | {point.requests:,} |"
        for point in measured.points
    ]
    if any(point.late_ms > LATENESS_SHARE * point.p99_ms for point in measured.points):
        rows.append("\nThe generator itself was late: other work on this machine is in these latencies. Measure again.")
    return "\n".join(rows)


def _plan(measured: Measured, target: Target, plan: CapacityPlan) -> str:
    rows = [
        f"Plan for {target.requests_per_second:,.0f} requests/s with p99 at most {target.p99_ms:g} ms, in "
        f"{target.memory_mib:,.0f} MiB, {target.spare:.0%} kept spare, at {target.price_per_hour:g} per core and hour:",
        f"  workers             {plan.workers}",
        f"  threads in each     {plan.threads}",
        f"  concurrency limit   {plan.concurrency_limit} in each (N = X * R)",
        f"  requests/s at p99   {plan.requests_per_second:,.0f}",
        f"  headroom            {plan.headroom:.0%}" if plan.requests_per_second else "  headroom            none",
        f"  memory              {plan.memory_mib:,.0f} MiB",
    ]
    if plan.requests_per_second:
        rows.append(f"  cost                {plan.cost_per_million:.4f} for a million predictions")
    command = (
        f"LABSERVER_THREADS={plan.threads} LABSERVER_CONCURRENCY={plan.concurrency_limit} "
        f"labserver serve --lesson {measured.run.lesson} --workers {plan.workers}"
    )
    return "\n".join([*rows, verdict(measured, target, plan), *([f"Run: {command}"] if plan.met else [])])


def verdict(measured: Measured, target: Target, plan: CapacityPlan) -> str:
    """A sentence on whether the target is met, and what prevents it if not."""
    if plan.met:
        return "The target is met."
    worker = measured.worker
    lowest_rate, lowest = worker.p99_ms[0]
    why = {
        "p99": f"p99 is {lowest:.1f} ms even at {lowest_rate:,.0f} requests/s, the lowest rate measured",
        "memory": f"{worker.memory.fitting(target.memory_mib)} workers fit into {target.memory_mib:,.0f} MiB",
        "cores": f"{target.cores} cores are there, and each worker needs {worker.threads}",
    }
    reasons = "; ".join(f"limited by {limit}: {why[limit]}" for limit in plan.limited_by)
    return f"The target cannot be met, {reasons}."


def _list(cores: tuple[int, ...]) -> str:
    return ", ".join(str(core) for core in cores) or "any"
