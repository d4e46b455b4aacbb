"""Plans a service from the measurement of one worker: workers, threads, a concurrency limit, and the price.

A plan is arithmetic on measurements. It assumes that workers share nothing but memory and that each has its own cores,
so that two do twice as much as one; if in doubt, measure with two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from labserver.capacity.memory import Memory
from labserver.capacity.usl import Law

Bottleneck = Literal["p99", "memory", "cores"]


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a plan.

    Attributes:
        requests_per_second: the highest rate of the day.
        p99_ms: highest p99, in milliseconds.
        memory_mib: memory of all processes together.
        price_per_hour: of one core, in any currency.
        spare: share of the capacity to keep free for unforeseen events, such as the loss of a worker.
        cores: number of cores, or None for as many as the target needs.
    """

    requests_per_second: float
    p99_ms: float
    memory_mib: float
    price_per_hour: float
    spare: float = 0.2
    cores: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """The measurement of one worker.

    Attributes:
        threads: threads of the model's arithmetic; each counts as a core.
        law: its throughput over concurrency, from a closed loop.
        tail: ratio of the p99 to the mean response time, under the highest concurrency.
        p99_ms: (requests/s, p99 in milliseconds) of an open loop, by rising rate.
        memory: of this worker, and of several.
    """

    threads: int
    law: Law
    tail: float
    p99_ms: Sequence[tuple[float, float]]
    memory: Memory

    def rate_within(self, p99_ms: float) -> float:
        """The highest rate whose p99 stays within ``p99_ms``, in requests/s; 0 if none does.

        Interpolated linearly between measured rates, never beyond the highest one. A p99 that was lower at a higher
        rate is noise: it counts as no lower than those before it.
        """
        rates = [rate for rate, _ in self.p99_ms]
        highest_yet = list(accumulate((p99 for _, p99 in self.p99_ms), max))
        if highest_yet[0] > p99_ms:
            return 0.0
        for (rate, p99), (next_rate, next_p99) in pairwise(zip(rates, highest_yet, strict=True)):
            if next_p99 > p99_ms:
                return rate + (next_rate - rate) * (p99_ms - p99) / (next_p99 - p99)
        return rates[-1]

    def concurrency_within(self, p99_ms: float) -> int:
        """The most requests in one worker for which the p99 stays within ``p99_ms``; at least 1.

        By Little's law N = X(N) * R, so N of them take R(N) = N / X(N) on average, and ``tail`` times that at p99. More
        than the law's peak is never worth having: throughput falls beyond it.
        """

        def fits(users: int) -> bool:
            return self.tail * self.law.response_seconds(users) * 1e3 <= p99_ms and users <= self.law.peak_users

        users = 1
        while users < MOST_CONCURRENT and fits(users + 1):
            users += 1
        return users


MOST_CONCURRENT = 10_000


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """The processes to run, and their predicted performance.

    Attributes:
        workers: processes.
        threads: of the model's arithmetic, in each worker.
        concurrency_limit: concurrent requests of each worker. Requests beyond it get 503.
        requests_per_second: highest rate of the workers within the target's p99, with nothing kept spare.
        headroom: the share of that rate which the target's rate leaves free; negative if the target is higher.
        memory_mib: of all processes.
        cost_per_million: price of a million predictions at the target's rate, or at the rate that can be served if
            that is less; infinite if nothing can be served.
        limited_by: what keeps the target from being met; empty if it is met.
    """

    workers: int
    threads: int
    concurrency_limit: int
    requests_per_second: float
    headroom: float
    memory_mib: float
    cost_per_million: float
    limited_by: tuple[Bottleneck, ...] = ()

    @property
    def met(self) -> bool:
        return not self.limited_by


def make_plan(worker: Worker, target: Target) -> CapacityPlan:
    """The fewest workers that meet the target, or as many as fit if no number meets it."""
    each = worker.rate_within(target.p99_ms)
    room: dict[Bottleneck, float] = {
        "memory": worker.memory.fitting(target.memory_mib),
        "cores": math.inf if target.cores is None else target.cores // worker.threads,
    }
    if each:
        needed = max(1, math.ceil(target.requests_per_second / (each * (1 - target.spare))))
        limited = tuple(limit for limit, workers in room.items() if workers < needed)
    else:
        needed, limited = 1, ("p99", *(limit for limit, workers in room.items() if workers < 1))
    workers = int(min(needed, *room.values()))
    total = workers * each
    served = min(total, target.requests_per_second)
    price = workers * worker.threads * target.price_per_hour
    return CapacityPlan(
        workers=workers,
        threads=worker.threads,
        concurrency_limit=worker.concurrency_within(target.p99_ms),
        requests_per_second=total,
        headroom=1 - target.requests_per_second / total if total else -math.inf,
        memory_mib=worker.memory.total(workers),
        cost_per_million=price / served / 3600 * 1e6 if served else math.inf,
        limited_by=limited,
    )
