"""The clocks for the age and the arrival of rows, with a system's clock that jumps."""

from __future__ import annotations

from labserver.monitor.age import Arrival, Now

DAY = 86_400.0


class Clocks:
    """A system's clock that is wrong by ``off`` seconds, and the time that has passed."""

    def __init__(self, off: float = 0.0) -> None:
        self.off, self.passed = off, 0.0

    def system(self) -> float:
        return 1e9 + self.passed + self.off

    def since(self) -> float:
        return self.passed


def test_a_jump_back_dates_no_row_back_and_one_forward_is_undone_at_once() -> None:
    clocks = Clocks()
    arrival = Arrival(clocks.system, clocks.since)
    for off, dated in ((0, 0), (-40 * DAY, 0), (0, 0), (40 * DAY, 40 * DAY), (0, 0), (-3600, 0), (0, 0)):
        clocks.passed += 600
        clocks.off = off
        assert arrival() == 1e9 + clocks.passed + dated


def test_a_clock_that_was_ahead_at_the_start_and_is_set_right_is_believed_after_a_day() -> None:
    clocks = Clocks(4_000 * DAY)
    arrival = Arrival(clocks.system, clocks.since)
    clocks.off = 0
    arrival()
    clocks.passed += DAY - 1
    assert arrival() == 1e9 + clocks.passed + 4_000 * DAY
    clocks.passed += 1
    assert arrival() == 1e9 + clocks.passed
    clocks.off = -DAY
    assert arrival() == 1e9 + clocks.passed, "the day begins anew"


def test_jumps_that_are_undone_do_not_add_up() -> None:
    clocks = Clocks()
    arrival = Arrival(clocks.system, clocks.since)
    for _ in range(5):
        for off in (-40 * DAY, 0.0):
            clocks.off = off
            assert arrival() == 1e9 + clocks.passed
            clocks.passed += DAY / 2


def test_the_present_is_never_further_from_the_newest_row_than_time_has_passed() -> None:
    clocks = Clocks(40 * DAY)
    now = Now(1e9, clocks.system, clocks.since)
    for off in (40 * DAY, -40 * DAY, 0.0, 4_000 * DAY):
        clocks.passed += 600
        clocks.off = off
        assert now() == 1e9 + clocks.passed + min(off, 0.0)
