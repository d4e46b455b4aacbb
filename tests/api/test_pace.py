"""A few refused connections are refused at once however early they ask again; the others wait until they may."""

from __future__ import annotations

import pytest

from labserver.api import pace
from labserver.api.pace import CLIENTS_A_SECOND, FEW, Pace, Refusal

AT_ONCE = Refusal(0.0, 1)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def connection(number: int) -> tuple[str, int]:
    return ("127.0.0.1", number)


def crowded(clock: Clock, others: int = FEW) -> Pace:
    """A pace that has refused as many other connections; they have the highest numbers of ports."""
    made = Pace(5, clock)
    for number in range(others):
        assert made.refuse(connection(65_535 - number)) == AT_ONCE
    return made


def test_a_few_connections_are_never_held_however_often_and_early_they_ask() -> None:
    own = Pace(5, Clock())
    for _ in range(50):
        for number in range(FEW):
            assert own.refuse(connection(number)) == AT_ONCE


@pytest.mark.parametrize(("refused", "held"), [(FEW, 0), (FEW + 1, 2), (FEW + 5, 10), (2 * FEW, 2 * FEW), (320, 320)])
def test_of_more_connections_each_lets_two_be_held(refused: int, held: int) -> None:
    own = crowded(Clock(), refused)
    holds = [own.refuse(connection(65_535 - number)).hold for number in range(refused)]
    assert holds == [1.0] * held + [0.0] * (refused - held)


def test_one_that_was_held_makes_room_for_another_once_its_refusal_is_sent() -> None:
    own = crowded(Clock(), FEW + 1)
    one, other, third = (own.refuse(connection(65_535 - number)) for number in range(3))
    assert (one.hold, other.hold, third) == (1.0, 1.0, AT_ONCE)
    own.sent(third)  # one that was not held gives no room
    assert own.refuse(connection(65_535 - 4)) == AT_ONCE
    own.sent(one)
    assert own.refuse(connection(65_535 - 5)).hold == 1.0


def test_it_waits_until_the_time_it_was_told_is_over() -> None:
    clock = Clock()
    own = crowded(clock, 2 * FEW)
    assert own.refuse(connection(1)) == AT_ONCE  # its first: at once, whatever others do
    clock.now += 0.25
    held = own.refuse(connection(1))
    assert held == Refusal(0.75, 1)
    clock.now += 0.75  # the refusal is sent, and it asks again without a pause
    own.sent(held)
    assert own.refuse(connection(1)) == AT_ONCE  # the others are gone
    for number in range(2 * FEW):
        own.refuse(connection(65_535 - number))
    assert own.refuse(connection(1)) == Refusal(1.0, 1)


def test_who_heeds_it_is_never_held() -> None:
    clock = Clock()
    own = crowded(clock, 2 * FEW)
    for _ in range(5):
        assert own.refuse(connection(1)) == AT_ONCE
        clock.now += 1.0
        for number in range(2 * FEW):
            own.sent(own.refuse(connection(65_535 - number)))


def test_one_that_was_let_in_is_not_outside_but_what_it_was_told_holds() -> None:
    own = crowded(Clock(), FEW + 2)
    for number in range(2):
        own.admitted(connection(65_535 - number))
    own.admitted(None)
    own.admitted(connection(1))  # was never refused
    assert own.refuse(connection(65_535 - 2)) == AT_ONCE  # no more are outside than are never held
    assert own.refuse(connection(65_535)) == AT_ONCE  # outside again, which makes 33
    assert own.refuse(connection(65_534)).hold == 1.0  # early, as it was told before it was let in


def test_clients_of_a_unix_socket_are_not_taken_for_one() -> None:
    own = crowded(Clock(), 10 * FEW)
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
    assert own.refuse(connection(10 * CLIENTS_A_SECOND - 1)).hold == 2.0
    short = Pace(0.5, clock)
    for number in range(2 * FEW):
        short.refuse(connection(number))
    assert short.refuse(connection(1)) == Refusal(0.5, 1)


def test_what_is_remembered_is_bounded_and_new_connections_find_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_TOLD", 3)
    clock = Clock()
    own = Pace(5, clock)
    for number in range(6):
        assert own.refuse(connection(number)) == AT_ONCE
    assert len(own._told) == 3
    clock.now += 1.5
    assert own.refuse(connection(9)) == AT_ONCE
    assert list(own._told) == [connection(9)]
