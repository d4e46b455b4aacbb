"""A plan worked out by hand, and what must hold for every plan."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labserver.capacity.memory import Memory
from labserver.capacity.plan import Target, Worker, make_plan
from labserver.capacity.usl import Law

WORKER = Worker(
    threads=1,
    law=Law(rate=1000, contention=0.1, coherency=0.01),  # R(N) = 1 + 0.1 (N - 1) + 0.01 N (N - 1) ms; peak at 9.49
    tail=2.0,
    p99_ms=((300, 2.0), (700, 4.0), (900, 8.0)),
    memory=Memory(alone=70, worker=60, supervisor=20),
)
TARGET = Target(requests_per_second=1700, p99_ms=5.0, memory_mib=1024, price_per_hour=0.06)

workers = st.builds(
    lambda rates, p99s, threads, alone, share, supervisor: Worker(
        threads=threads,
        law=WORKER.law,
        tail=WORKER.tail,
        p99_ms=tuple(zip(sorted(rates), p99s, strict=True)),
        memory=Memory(alone, alone * share, supervisor),
    ),
    st.lists(st.floats(10, 5000), min_size=4, max_size=4, unique=True),
    st.lists(st.floats(0.5, 200) | st.just(math.inf), min_size=4, max_size=4),
    st.integers(1, 4),
    st.floats(20, 400),
    st.floats(0.6, 1),
    st.floats(5, 60),
)
targets = st.builds(
    Target,
    requests_per_second=st.floats(1, 50_000),
    p99_ms=st.floats(0.5, 500),
    memory_mib=st.floats(10, 10_000),
    price_per_hour=st.floats(0.001, 10),
    spare=st.floats(0, 0.8),
    cores=st.none() | st.integers(1, 64),
)


def test_worked_out_by_hand() -> None:
    plan = make_plan(WORKER, TARGET)
    # p99 of 5 lies a quarter of the way from 4 (700/s) to 8 (900/s): 750/s; a fifth spare: 600/s; 1700 / 600 = 2.8
    assert (plan.workers, plan.threads) == (3, 1)
    assert plan.requests_per_second == pytest.approx(3 * 750)
    assert plan.headroom == pytest.approx(1 - 1700 / 2250)
    # twice R(8) = 2 * 2.26 ms = 4.52 ms; twice R(9) = 5.04 ms
    assert plan.concurrency_limit == 8
    assert plan.memory_mib == 20 + 3 * 60
    # three cores at 0.06 for 1700 * 3600 = 6.12 million predictions an hour
    assert plan.cost_per_million == pytest.approx(0.18 / 6.12)
    assert plan.met


def test_one_worker_needs_no_supervisor() -> None:
    plan = make_plan(WORKER, replace(TARGET, requests_per_second=600))
    assert (plan.workers, plan.memory_mib) == (1, 70)


def test_concurrency_never_goes_beyond_the_peak() -> None:
    assert make_plan(WORKER, replace(TARGET, p99_ms=60)).concurrency_limit == 9


def test_limited_by_memory() -> None:
    plan = make_plan(WORKER, replace(TARGET, memory_mib=199))
    assert plan.limited_by == ("memory",)
    assert (plan.workers, plan.requests_per_second) == (2, 1500)
    assert plan.headroom == pytest.approx(1 - 1700 / 1500)
    assert plan.cost_per_million == pytest.approx(0.12 / (1500 * 3600 / 1e6))


def test_limited_by_cores_of_which_each_thread_takes_one() -> None:
    plan = make_plan(replace(WORKER, threads=2), replace(TARGET, cores=5))
    assert (plan.workers, plan.limited_by) == (2, ("cores",))


def test_limited_by_latency_that_no_number_of_workers_mends() -> None:
    plan = make_plan(WORKER, replace(TARGET, p99_ms=1.9))
    assert plan.limited_by == ("p99",)
    assert (plan.requests_per_second, plan.cost_per_million) == (0, math.inf)


def test_not_even_one_worker_fits() -> None:
    plan = make_plan(WORKER, replace(TARGET, memory_mib=50))
    assert (plan.workers, plan.memory_mib, plan.met) == (0, 0, False)


def test_a_p99_that_falls_with_the_rate_is_noise() -> None:
    noisy = replace(WORKER, p99_ms=((300, 6.0), (700, 4.0), (900, 8.0)))
    assert noisy.rate_within(5.0) == 0
    assert noisy.rate_within(7.0) == pytest.approx(800)


def test_a_rate_beyond_those_measured_is_never_promised() -> None:
    assert WORKER.rate_within(1e9) == 900


@settings(deadline=None)
@given(workers, targets)
def test_a_plan_that_is_met_keeps_every_promise(worker: Worker, target: Target) -> None:
    plan = make_plan(worker, target)
    assert plan.memory_mib <= target.memory_mib
    assert target.cores is None or plan.workers * plan.threads <= target.cores
    if plan.met:
        usable = plan.requests_per_second * (1 - target.spare)
        assert usable >= target.requests_per_second * (1 - 1e-9)
        fewer = usable * (plan.workers - 1) / plan.workers
        assert plan.workers == 1 or fewer < target.requests_per_second * (1 + 1e-9)


@settings(deadline=None)
@given(workers, targets, st.floats(1, 5))
def test_more_load_never_needs_fewer_workers(worker: Worker, target: Target, factor: float) -> None:
    more = replace(target, requests_per_second=target.requests_per_second * factor)
    assert make_plan(worker, more).workers >= make_plan(worker, target).workers


@settings(deadline=None)
@given(workers, targets, st.floats(1, 5))
def test_asking_less_of_the_latency_never_gives_less(worker: Worker, target: Target, factor: float) -> None:
    plan, loose = make_plan(worker, target), make_plan(worker, replace(target, p99_ms=target.p99_ms * factor))
    assert loose.concurrency_limit >= plan.concurrency_limit
    if plan.met:
        assert loose.met
        assert loose.workers <= plan.workers
        assert loose.cost_per_million <= plan.cost_per_million


@settings(deadline=None)
@given(workers, targets, st.floats(1, 5))
def test_more_memory_never_turns_a_plan_down(worker: Worker, target: Target, factor: float) -> None:
    plan, roomy = make_plan(worker, target), make_plan(worker, replace(target, memory_mib=target.memory_mib * factor))
    assert set(roomy.limited_by) <= set(plan.limited_by)
    assert roomy.workers >= plan.workers
