"""Refusals are sent at once while they cost little; beyond that, clients that ask too early wait until they may."""

from __future__ import annotations

import pytest

from labserver.api import pace
from labserver.api.pace import EARLY_AT_ONCE, RETRY_SECONDS, Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def connection(number: int) -> tuple[str, int]:
    return ("127.0.0.1", number)


def spent(clock: Clock) -> Pace:
    """A pace whose early refusals of this second are all sent."""
    made = Pace(clock)
    for _ in range(EARLY_AT_ONCE + 1):
        assert made.hold(connection(0)) == 0
    return made


def test_who_asks_too_early_is_refused_at_once_while_that_costs_little() -> None:
    spent(Clock())


def test_beyond_that_it_waits_until_the_time_it_was_told_is_over() -> None:
    clock = Clock()
    own = spent(clock)
    assert own.hold(connection(1)) == 0  # its first: at once, whatever others do
    clock.now += 0.25
    assert own.hold(connection(1)) == RETRY_SECONDS - 0.25
    clock.now += RETRY_SECONDS - 0.25  # the refusal is sent, and it asks again without a pause
    assert own.hold(connection(2)) == 0
    for _ in range(EARLY_AT_ONCE):
        own.hold(connection(2))
    assert own.hold(connection(1)) == RETRY_SECONDS


def test_who_heeds_it_is_never_held() -> None:
    clock = Clock()
    own = spent(clock)
    for _ in range(5):
        assert own.hold(connection(1)) == 0
        clock.now += RETRY_SECONDS
        for _ in range(EARLY_AT_ONCE + 1):
            own.hold(connection(2))


def test_clients_of_a_unix_socket_are_not_taken_for_one() -> None:
    own = spent(Clock())
    assert [own.hold(None) for _ in range(5)] == [0.0] * 5


def test_what_is_remembered_is_bounded_and_new_connections_find_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_TOLD", 3)
    clock = Clock()
    own = spent(clock)
    for number in range(1, 6):
        assert own.hold(connection(number)) == 0
    assert len(own._told) == 3
    clock.now += RETRY_SECONDS + 0.5
    assert own.hold(connection(9)) == 0
    assert list(own._told) == [connection(9)]
