"""A second model's answers are logged, and whatever it does costs no answer of the first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from awaiting import PATIENCE
from numpy.typing import NDArray

from labserver.monitor.served import Served
from labserver.monitor.shadow import Shadow


class Answer:
    """As much of an answer as a shadow reads."""

    def __init__(self, number: int) -> None:
        self.id = f"{number:032x}"


def served(numbers: range) -> Served:
    """A batch whose vectors hold one number each."""
    rows = np.array(numbers, np.float32)[:, None]
    pairs: Any = [(None, Answer(number)) for number in numbers]
    return Served(pairs, np.zeros(len(rows), np.int64), rows, rows, np.zeros(len(rows), np.float32), 0)


class Model:
    """Answers by a function of the vectors."""

    signature = None
    version = "second"

    def __init__(self, answer: Callable[[NDArray[np.float32]], Any]) -> None:
        self.probabilities = answer


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def started() -> Iterator[Callable[[Callable[[NDArray[np.float32]], Any]], Shadow]]:
    shadows: list[Shadow] = []

    def start(answer: Callable[[NDArray[np.float32]], Any]) -> Shadow:
        shadows.append(Shadow(Model(answer)))
        shadows[-1].start()
        return shadows[-1]

    yield start
    for shadow in shadows:
        shadow.close()


Start = Callable[[Callable[[NDArray[np.float32]], Any]], Shadow]


def test_each_answer_has_the_id_of_the_prediction_that_was_sent(started: Start) -> None:
    shadow = started(lambda vectors: vectors[:, 0] / 1000)
    for first in (0, 3):
        shadow.offer(served(range(first, first + 3)))
    until(lambda: shadow.answers == 6)
    assert [(int(id_, 16), round(score * 1000)) for id_, score in shadow.take()] == [(n, n) for n in range(6)]
    assert shadow.take() == []
    assert (shadow.version, shadow.errors, shadow.dropped) == ("second", 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda vectors: 1 / 0,
        lambda vectors: vectors[:1, 0],
        lambda vectors: vectors[:, 0] + 2,
        lambda vectors: vectors[:, 0] * np.nan,
        lambda vectors: "soon",
        lambda vectors: None,
    ],
    ids=["raises", "too few", "above one", "not a number", "text", "nothing"],
)
def test_a_model_that_fails_costs_its_own_answers_and_goes_on(started: Start, wrong: Callable[..., Any]) -> None:
    broken = True
    shadow = started(lambda vectors: wrong(vectors) if broken else vectors[:, 0] * 0)
    shadow.offer(served(range(5)))
    until(lambda: shadow.errors == 5)
    broken = False
    shadow.offer(served(range(2)))
    until(lambda: shadow.answers == 2)
    assert len(shadow.take()) == 2


def test_a_model_that_hangs_fills_its_queue_and_what_does_not_fit_is_dropped_and_counted(started: Start) -> None:
    hang = threading.Event()
    shadow = started(lambda vectors: hang.wait() and vectors[:, 0] * 0)
    shadow.offer(served(range(10)))
    until(lambda: shadow._queue.empty())  # the thread has it, and hangs
    begun = time.monotonic()
    for _ in range(Shadow.WAITING + 3):
        shadow.offer(served(range(10)))
    assert time.monotonic() - begun < PATIENCE
    assert (shadow.dropped, shadow.answers) == (30, 0)
    shadow.close()  # the process may end: it does not wait for it
    hang.set()
