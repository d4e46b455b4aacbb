"""Refusals are sent at once while they cost little; beyond that, clients that ask too early wait until they may."""

from __future__ import annotations

import pytest

from labserver.api import pace
from labserver.api.pace import CLIENTS_A_SECOND, EARLY_AT_ONCE, Pace, Refusal


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def connection(number: int) -> tuple[str, int]:
    return ("127.0.0.1", number)


AT_ONCE = Refusal(0.0, 1)


def spent(clock: Clock) -> Pace:
    """A pace whose early refusals of this second are all sent."""
    made = Pace(5, clock)
    for _ in range(EARLY_AT_ONCE + 1):
        assert made.refuse(connection(0)) == AT_ONCE
    return made


def test_who_asks_too_early_is_refused_at_once_while_that_costs_little() -> None:
    spent(Clock())


def test_beyond_that_it_waits_until_the_time_it_was_told_is_over() -> None:
    clock = Clock()
    own = spent(clock)
    assert own.refuse(connection(1)) == AT_ONCE  # its first: at once, whatever others do
    clock.now += 0.25
    assert own.refuse(connection(1)) == Refusal(0.75, 1)
    clock.now += 0.75  # the refusal is sent, and it asks again without a pause
    for _ in range(EARLY_AT_ONCE + 1):
        own.refuse(connection(2))
    assert own.refuse(connection(1)) == Refusal(1.0, 1)


def test_who_heeds_it_is_never_held() -> None:
    clock = Clock()
    own = spent(clock)
    for _ in range(5):
        assert own.refuse(connection(1)) == AT_ONCE
        clock.now += 1.0
        for _ in range(EARLY_AT_ONCE + 1):
            own.refuse(connection(2))


def test_clients_of_a_unix_socket_are_not_taken_for_one() -> None:
    own = spent(Clock())
    assert [own.refuse(None) for _ in range(5)] == [AT_ONCE] * 5


def test_the_more_are_told_to_come_back_the_later_they_are_told_to() -> None:
    clock = Clock()
    own = Pace(5, clock)
    told = [own.refuse(connection(number)).retry_after for number in range(2 * CLIENTS_A_SECOND + 1)]
    assert (told[0], told[CLIENTS_A_SECOND - 1], told[CLIENTS_A_SECOND], told[-1]) == (1, 1, 2, 3)
    clock.now += 10  # all of them are gone
    assert own.refuse(connection(0)).retry_after == 1


def test_nobody_is_held_nor_sent_away_for_longer_than_half_a_request_may_take() -> None:
    clock = Clock()
    own = Pace(2.5, clock)
    told = [own.refuse(connection(number)) for number in range(10 * CLIENTS_A_SECOND)]
    assert {refusal.retry_after for refusal in told} == {1, 2}
    for _ in range(EARLY_AT_ONCE + 1):
        own.refuse(connection(1))
    assert own.refuse(connection(10 * CLIENTS_A_SECOND - 1)).hold == 2.0
    short = Pace(0.5, clock)
    for _ in range(EARLY_AT_ONCE + 1):
        short.refuse(connection(1))
    assert short.refuse(connection(1)) == Refusal(0.5, 1)


def test_what_is_remembered_is_bounded_and_new_connections_find_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_TOLD", 3)
    clock = Clock()
    own = spent(clock)
    for number in range(1, 6):
        assert own.refuse(connection(number)) == AT_ONCE
    assert len(own._told) == 3
    clock.now += 1.5
    assert own.refuse(connection(9)) == AT_ONCE
    assert list(own._told) == [connection(9)]
