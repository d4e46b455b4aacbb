"""A full lecture hall posts at once and the board is killed in the middle: nothing that it acknowledged is lost.

``FAULTS=full pytest -s tests/classroom/test_load.py`` is the full size and prints the figures.
"""

from __future__ import annotations

import csv
import io
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from awaiting import PATIENCE
from boards import board, result

from exercises.checks.result import State
from exercises.classroom.errors import ClassroomError
from exercises.classroom.membership import CLASSROOM_FOLDER, join
from exercises.classroom.posting import deliver, put, waiting
from labserver.running.process import free_port

LEARNERS = 300


class Fuse:
    """Kills a board once a number of further posts is acknowledged. The learner of the last post does it at once: a
    thread that polls could come when all is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 0
        self._process: subprocess.Popen[str] | None = None

    def light(self, process: subprocess.Popen[str], posts: int) -> None:
        with self._lock:
            self._left, self._process = posts, process

    def burn(self, posts: int) -> None:
        with self._lock:
            self._left -= posts
            if self._left <= 0 and self._process:
                self._process.kill()
                self._process = None


class Learner(threading.Thread):
    """One learner with a folder of its own, who posts by the course's own code until everything is acknowledged."""

    def __init__(self, work: Path, posts: int, start: threading.Barrier, fuse: Fuse) -> None:
        super().__init__(daemon=True)
        self.work, self._posts, self._start, self._fuse = work, posts, start, fuse
        self.acknowledged: set[str] = set()
        self.seconds: list[float] = []
        self.failures = 0

    def run(self) -> None:
        self._start.wait()
        for number in range(self._posts):
            put(self.work, result(number % 10, State.NOT_YET, f"Check {number}."))
            while waiting(self.work):
                sent = {
                    file.stem.split("-")[1] for file in (self.work / CLASSROOM_FOLDER / "waiting").glob("[0-9]*.json")
                }
                began = time.perf_counter()
                try:
                    deliver(self.work)
                except ClassroomError:
                    self.failures += 1
                    time.sleep(0.2)
                else:
                    self.seconds.append(time.perf_counter() - began)
                    self.acknowledged |= sent
                    self._fuse.burn(len(sent))


def test_three_hundred_learners_and_a_kill(tmp_path: Path, full: bool) -> None:
    posts, kills = (40, 5) if full else (4, 1)
    file, port = tmp_path / "class.db", free_port()
    learners: list[Learner] = []
    start, fuse = threading.Barrier(LEARNERS + 1), Fuse()
    with board(file, port=port) as first:
        works = [tmp_path / f"work-{number}" for number in range(LEARNERS)]
        with ThreadPoolExecutor(30) as pool:
            names = list(pool.map(lambda work: join(work, first.code, first.url, None).name, works))
        assert len(set(names)) == LEARNERS
        learners = [Learner(work, posts, start, fuse) for work in works]
        fuse.light(first.process, LEARNERS * posts // (kills + 2))
        for learner in learners:
            learner.start()
        start.wait()
        began = time.perf_counter()
        first.process.wait(PATIENCE)
    told = sum(len(learner.acknowledged) for learner in learners)
    assert 0 < told < LEARNERS * posts  # it was in the middle
    for number in range(kills):
        with board(file, port=port) as again:
            assert (again.code, again.key) == (first.code, first.key)
            if number < kills - 1:
                fuse.light(again.process, LEARNERS * posts // (kills + 2))
                again.process.wait(PATIENCE)
                continue
            for learner in learners:
                learner.join(2 * PATIENCE)
            took = time.perf_counter() - began
            rows = list(csv.DictReader(io.StringIO(again.get("/results.csv").text)))
            results = again.get("/board").json()["learners"]
    acknowledged = [len(learner.acknowledged) for learner in learners]
    assert acknowledged == [posts] * LEARNERS
    seen = {(row["learner"], row["first_failing_check"]) for row in rows}
    wanted = {(name, f"Check {number}.") for name in names for number in range(posts)}
    seconds = sorted(second for learner in learners for second in learner.seconds)
    print(
        f"\n{LEARNERS} learners at once, {posts} posts each, {kills} kill -9: {len(rows):,} posts in {took:.1f} s "
        f"({len(rows) / took:,.0f}/s), p50 {statistics.median(seconds) * 1e3:.0f} ms, "
        f"p99 {seconds[int(len(seconds) * 0.99)] * 1e3:.0f} ms, lost {len(wanted - seen)}, "
        f"counted twice {len(rows) - len(seen)}, tried again {sum(learner.failures for learner in learners)}"
    )
    assert seen == wanted
    assert len(rows) == len(wanted)
    assert {tuple(cell[1] for cell in learner["results"] if cell) for learner in results} == {
        tuple(len(range(lesson, posts, 10)) for lesson in range(min(10, posts)))
    }
