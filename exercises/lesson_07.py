"""Exercise 7: a plan for a box.

The service moves into a container with given cores, memory, a p99 that it must keep, and the traffic of its busiest
day. One worker was measured, with one thread and with two. Write the functions that make a plan of that:

- ``choose``: the measurement whose workers, as many as fit into the box, answer most together; of equals, the one with
  the fewest threads. ``room`` says how many fit: each thread wants a core, and all workers start at the same moment.
- ``workers_for``: the fewest workers that carry the busiest hour and keep ``box.spare`` of their capacity free, but
  never more than fit, and at least one.
- ``limit_for``: the concurrency limit of a worker. When it is busy it answers ``rate`` a second, and
  one of a hundred takes ``tail`` times as long as the mean. Let in as many as still keep the p99, rounded down, and at
  least one. Little's law knows how many that are.
- ``admission``: the part that keeps this limit in the service.

The check puts other figures in, so compute; do not return numbers. Then it runs your plan on a live server, under a
flood of several times its capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labserver.api.admission import Admission, ConcurrencyLimit
from labserver.settings import Settings


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one worker.

    Attributes:
        threads: of the model's arithmetic.
        rate: the most that it answers, requests/s.
        tail: how many times the mean time inside the p99 was, at that rate.
        running_mib: memory (PSS) once it runs.
        peak_mib: memory in the worst moment of its start.
    """

    threads: int
    rate: float
    tail: float
    running_mib: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Box:
    """Where the service is to run, and what is asked of it.

    Attributes:
        cores: how many it has.
        memory_mib: more than this for one moment, and the kernel kills.
        supervisor_mib: what watches over the workers; it needs its memory beside them.
        p99_ms: what 99 of 100 answers must stay under.
        traffic: requests/s of the busiest day, hour by hour.
        spare: share of the capacity that is kept free, for a worker that dies or a wave that nobody foresaw.
    """

    cores: int
    memory_mib: float
    supervisor_mib: float
    p99_ms: float
    traffic: tuple[float, ...]
    spare: float = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: processes, threads of the model in each, and requests that each may have inside at once."""

    workers: int
    threads: int
    limit: int


MEASURED = (  # stage 7, single flights, on two cores of which the load had one
    Figures(threads=1, rate=311, tail=3.5, running_mib=217, peak_mib=253),
    Figures(threads=2, rate=212, tail=2.8, running_mib=219, peak_mib=256),
)

BOX = Box(
    cores=4,
    memory_mib=700,
    supervisor_mib=22,
    p99_ms=250,
    traffic=(
        *(14, 8, 5, 4, 11, 62, 187, 238, 255, 231, 212, 204),
        *(219, 247, 276, 310, 342, 371, 366, 318, 241, 152, 77, 31),
    ),
)


def room(figures: Figures, box: Box) -> int:
    """How many such workers fit into the box."""
    raise NotImplementedError("room: memory and cores, whichever runs out first")


def choose(measured: Sequence[Figures], box: Box) -> Figures:
    """The measurement whose workers answer most together, as many as fit; of equals, with the fewest threads."""
    raise NotImplementedError("choose: what do all that fit answer together?")


def workers_for(figures: Figures, box: Box) -> int:
    """The fewest workers that carry the busiest hour with some capacity to spare; never more than fit, at least one."""
    raise NotImplementedError("workers_for: the fewest that carry the busiest hour, and no more than fit")


def limit_for(figures: Figures, box: Box) -> int:
    """How many requests a worker may have inside at once so that the p99 is kept; at least one."""
    raise NotImplementedError("limit_for: Little's law")


def plan(measured: Sequence[Figures], box: Box) -> Plan:
    """The plan for a box."""
    chosen = choose(measured, box)
    return Plan(workers_for(chosen, box), chosen.threads, limit_for(chosen, box))


def threads(settings: Settings) -> int | None:
    """Part: threads of the model's arithmetic in each worker; None leaves it to the library, which takes every core."""
    return plan(MEASURED, BOX).threads


def admission(settings: Settings) -> Admission:
    """Part: who is let in. See ``labserver/api/admission.py`` for what there is."""
    raise NotImplementedError("admission: let in no more than the plan says")
