"""Lesson 7: the plan's arithmetic on boxes worked out by hand, then the plan itself under a flood."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt
from exercises.checks.doubt import in_time
from exercises.checks.result import CheckFinding
from labserver.capacity.load import Answers, open_loop
from labserver.capacity.question import PATH

SINGLE_FLIGHTS = (  # one flight a request: a second thread has nothing to do
    {"threads": 1, "rate": 300, "tail": 2.5, "running_mib": 216, "peak_mib": 257},
    {"threads": 2, "rate": 210, "tail": 3.0, "running_mib": 217, "peak_mib": 258},
    {"threads": 4, "rate": 120, "tail": 4.0, "running_mib": 218, "peak_mib": 259},
)
LARGE_WORKER = ({"threads": 1, "rate": 250, "tail": 2.0, "running_mib": 230, "peak_mib": 320},)
WHOLE_BOARDS = (  # a thousand flights a request: a second thread helps
    {"threads": 1, "rate": 9, "tail": 1.5, "running_mib": 216, "peak_mib": 260},
    {"threads": 2, "rate": 15, "tail": 1.6, "running_mib": 230, "peak_mib": 280},
)
QUIET_NIGHT = (20.0,) * 8 + (250.0,) * 14 + (560.0, 120.0)
ROOMY_BOX = {"cores": 4, "memory_mib": 4096, "supervisor_mib": 22, "p99_ms": 50, "traffic": QUIET_NIGHT}
TIGHT_BOX = {"cores": 8, "memory_mib": 1024, "supervisor_mib": 70, "p99_ms": 50, "traffic": (1500.0,) * 24}
SMALL_BOX = {"cores": 4, "memory_mib": 500, "supervisor_mib": 22, "p99_ms": 100, "traffic": (7.0,) * 24}

ALONE_SECONDS, FLOOD_SECONDS, AFTERWARDS_SECONDS = 2.0, 3.0, 2.0
"""Seconds of each load."""
FLOOD_FACTOR = 2.0
"""The flood, against what the service was measured to answer just before."""
FLOOD_TRIES = 3
"""Floods, of which one must go well: a machine may have other things to do for three seconds. Without a limit none
does.
"""
P99_FACTOR = 8.0
"""Allowed ratio of an accepted request's time to that of Little's law. Machines are noisy; without a limit the ratio is
far larger, and grows with each second of the flood.
"""


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Arithmetic in this process; if all of it is right, one live service."""
    for found in chain(arithmetic(attempt), limit(attempt), parts(attempt)):
        yield found
        if not found.passed:  # what follows rests on it, and a service is started only for a plan that deserves it
            return
    yield from live(attempt)


def planned(attempt: Attempt, measured: tuple[dict[str, Any], ...], box: dict[str, Any]) -> Any:
    """The learner's plan for given figures."""
    plan, figures, place = (attempt.named(name) for name in ("plan", "Figures", "Box"))
    return plan([figures(**row) for row in measured], place(**box))


def arithmetic(attempt: Attempt) -> Iterator[CheckFinding]:
    """Threads and workers."""
    roomy = planned(attempt, SINGLE_FLIGHTS, ROOMY_BOX)
    yield number(
        "One flight has no work for a second thread: one thread in each worker.",
        roomy.threads,
        1,
        sent="4 cores; a worker answers 300/s with one thread, 210/s with two, 120/s with four",
        why="Threads that wait for one another keep busy while they wait, and take the cores from the other workers.",
        mistakes={4: "threads-as-cores"},
    )
    tight = planned(attempt, LARGE_WORKER, TIGHT_BOX)
    yield number(
        "The workers fit into the memory, in their worst moment.",
        tight.workers,
        2,
        sent="1,024 MiB, 70 of them for the supervisor; a worker takes 230 MiB, and 320 while it starts; 8 cores",
        why="The kernel does not average: it kills a process that passes the limit once, and all start at once.",
        mistakes={3: "supervisor-forgotten", 4: "memory-of-a-running-worker", 8: "workers-by-cores"},
    )
    yield number(
        "The workers carry the busiest hour with a fifth to spare, and are no more than that takes.",
        roomy.workers,
        3,
        sent="560 requests/s in the busiest hour, 179 on average; 300/s a worker, a fifth of it kept free; room for 4",
        why="A mean hides the hour in which everyone comes. Workers without work are paid for every hour of the year.",
        mistakes={1: "mean-traffic", 2: "no-spare", 4: "as-many-as-fit"},
    )
    small = planned(attempt, WHOLE_BOARDS, SMALL_BOX)
    yield number(
        "Where memory has room for one worker only, a second thread may pay.",
        small.threads,
        2,
        sent="4 cores and memory for one worker; it answers 9 boards/s with one thread, 15/s with two",
        why="What counts is what all that fits answers together. `Always 1` is a guess with a good name.",
        mistakes={1: "always-one-thread"},
    )


def limit(attempt: Attempt) -> Iterator[CheckFinding]:
    """The concurrency limit."""
    got = planned(attempt, SINGLE_FLIGHTS, ROOMY_BOX).limit
    if got is None or got > 20:
        mistake = "no-limit"
    else:
        mistake = {1: "limit-of-one", 15: "tail-forgotten", 14: "tail-forgotten"}.get(got, "")
    why = {
        "no-limit": "Above the capacity everyone waits, and all answers come too late: a queue adds no capacity.",
        "limit-of-one": "Two requests that come together are no overload. One is refused while the worker has time.",
        "tail-forgotten": "A p99 of 50 ms is a mean of far less: the slow ones wait longer than the mean.",
    }
    yield number(
        "The limit is Little's: the rate times the mean time inside that the p99 allows.",
        got,
        6,
        sent="300 requests/s at most; p99 at most 50 ms, which is 2.5 times the mean",
        why=why.get(mistake, "Too high and accepted requests are late, too low and the worker idles between them."),
        mistakes={got: mistake},
    )
    least = planned(attempt, WHOLE_BOARDS, SMALL_BOX).limit
    yield number(
        "A worker that lets nobody in answers nobody: the limit is at least one.",
        least,
        1,
        sent="15 boards/s at most; p99 at most 100 ms, which is 1.6 times the mean",
        why="0.94 rounded down is 0. The p99 cannot be kept then, and the plan should still serve.",
        mistakes={0: "limit-of-zero"},
    )


def number(what: str, got: object, expected: int, *, sent: str, why: str, mistakes: dict[Any, str]) -> CheckFinding:
    """One number of the plan."""
    passed = got == expected and isinstance(got, int)
    return CheckFinding(
        what,
        passed,
        sent=sent,
        received=repr(got),
        expected=repr(expected),
        why=why,
        mistake="" if passed else mistakes.get(got, ""),
    )


def parts(attempt: Attempt) -> Iterator[CheckFinding]:
    """That the parts do what the plan says: how many are let in, and whether places are given back."""
    own, plan = attempt.own(), own_plan(attempt)
    admission = own["admission"](attempt.settings)
    entered = 0
    while entered <= plan.limit and admission.enter():
        entered += 1
    for _ in range(entered):
        admission.leave()
    again = sum(admission.enter() for _ in range(entered))
    let_in = f"{entered}" if entered <= plan.limit else f"{entered} and more"
    passed = entered == plan.limit == again and own["threads"](attempt.settings) == plan.threads
    yield CheckFinding(
        "The parts do what the plan says: requests above the limit are refused, and a free place is given again.",
        passed,
        sent=f"requests that stay, one after the other; then all leave, and {entered} come again",
        received=f"let in: {let_in}; let in again: {again}",
        expected=f"let in: {plan.limit}; let in again: {plan.limit}",
        why="A plan on paper refuses nobody.",
        mistake="" if passed else "no-limit-in-the-service" if entered > plan.limit else "",
    )


def own_plan(attempt: Attempt) -> Any:
    """The plan for the exercise's own box."""
    plan: Callable[..., Any] = attempt.named("plan")
    return plan(attempt.named("MEASURED"), attempt.named("BOX"))


def live(attempt: Attempt) -> Iterator[CheckFinding]:
    """The plan on a live server: alone, in a flood, and with half of what it did there."""
    plan = own_plan(attempt)
    body = json.dumps(attempt.flights("2013-10-15", 1)[0])
    with attempt.service(workers=plan.workers) as service:
        ask = asker(service, body, 48 * plan.workers)
        ask(20.0, 1.0)  # the first requests touch what later ones find ready
        alone = ask(15.0, ALONE_SECONDS)
        factor = FLOOD_FACTOR
        for _ in range(FLOOD_TRIES):
            capacity = most(service, body, plan.limit)  # each time: what the machine can do changes
            flood = ask(factor * capacity, FLOOD_SECONDS)
            findings = list(in_a_flood(alone, capacity, flood, plan.limit))
            if all(found.passed for found in findings):
                break
            if not flood.shed:  # the machine has become faster meanwhile, or there is no limit
                factor *= 2
        yield from in_time(findings)
        after = ask(max(5.0, len(flood.latencies) / FLOOD_SECONDS / 2), AFTERWARDS_SECONDS)
    answered = len(after.latencies) / after.asked
    passed = answered >= 0.7 and after.failed + after.unanswered == 0
    found = CheckFinding(
        "After the flood, half of what it did there is served as if nothing had been.",
        passed,
        sent=f"{after.rate:.0f} requests/s for {AFTERWARDS_SECONDS:.0f} s",
        received=f"{answered:.0%} answered, {after.failed + after.unanswered} failed",
        expected="at least 70% answered, none failed",
        why="A limit that refuses where there is room turns customers away for nothing.",
        mistake="" if passed else "refuses-where-there-is-room",
    )
    yield from in_time([found])


def most(service: Answering, body: str, clients: int) -> float:
    """Answers/s to N clients that each wait for their answer before they send the next request."""
    number, began = 200, time.perf_counter()
    answers = open_loop(service.url + PATH, body, 100.0 * number, 0.01, connections=clients)
    return max(1, len(answers.latencies)) / (time.perf_counter() - began)


def asker(service: Answering, body: str, connections: int) -> Callable[[float, float], Answers]:
    """Sends requests at a rate, for a few seconds, whether or not answers arrive."""
    return lambda rate, seconds: open_loop(service.url + PATH, body, rate, seconds, connections, patience=3.0)


def in_a_flood(alone: Answers, capacity: float, flood: Answers, limit: int) -> Iterator[CheckFinding]:
    """Findings on the accepted requests, and on whether the others were rejected at once."""
    sent = f"{flood.rate:.0f} requests/s for {FLOOD_SECONDS:.0f} s, to a service that can answer {capacity:.0f}/s"
    broken = flood.failed + flood.unanswered
    refused = flood.shed > 0 and broken <= 0.01 * flood.asked
    yield CheckFinding(
        "In a flood the service refuses what it cannot do, and leaves no request without an answer.",
        refused,
        sent=sent,
        received=f"{len(flood.latencies)} answered, {flood.shed} refused, {broken} failed or never answered",
        expected="some refused with 503, none left without an answer",
        why="A client that is refused at once can go elsewhere. One that waits in vain retries, and the flood grows.",
        mistake="" if refused else "no-limit",
    )
    bar = P99_FACTOR * (limit + 1) * alone.percentile(0.99)
    in_time = flood.percentile(0.99) <= bar
    yield CheckFinding(
        "Requests that are let in during the flood are answered in time.",
        in_time,
        sent=sent,
        received=f"p99 of those let in: {flood.percentile(0.99):.0f} ms",
        expected=f"at most {bar:.0f} ms: alone it is {alone.percentile(0.99):.0f} ms, and {limit} others are inside",
        why="An answer that comes after the client has gone is work for nobody.",
        mistake="" if in_time else "late-in-a-flood",
    )
    goodput = len(flood.latencies) / FLOOD_SECONDS
    working = goodput >= 0.25 * capacity
    yield CheckFinding(
        "In the flood it goes on working.",
        working,
        sent=sent,
        received=f"{goodput:.0f} answers/s",
        expected=f"at least {0.25 * capacity:.0f}/s, a quarter of what it can",
        why="A service that refuses everyone is as down as one that answers no one.",
        mistake="" if working else "works-no-more",
    )
