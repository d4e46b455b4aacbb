"""The list of exercises, with title, objective, minutes and hints of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labserver.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the course."""
TASKS, SOLUTIONS = ROOT / "exercises", ROOT / "solutions"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        lesson: 0 to 9, and the stage at which the learner's part is put into the live service.
        title: what is to be made.
        objective: the learner's skill afterwards.
        minutes: the time that most people need.
        hints: three; each gives away a little more.
        file: its name under ``exercises/``, ``solutions/`` and ``work/``.
        seconds: time limit of the check, with room for a slow machine.
    """

    lesson: int
    title: str
    objective: str
    minutes: int
    hints: tuple[str, str, str]
    file: str
    seconds: int = 60

    @property
    def task(self) -> Path:
        """The untouched exercise."""
        return TASKS / self.file

    @property
    def solution(self) -> Path:
        """The course's own answer."""
        return SOLUTIONS / self.file


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        lesson=0,
        title="A feature in one place",
        objective="Define a feature once, train a model on it by name, and see it in the live service.",
        minutes=20,
        hints=(
            "How is `weekday` defined? Yours is defined beside it, also from the request alone.",
            "`minute` is already New York's. Write 22:00 as a number of minutes, and you need no time zone. And the "
            "same function gets an array in training and a number in the service: compare, do not branch.",
            "`replace(group, features=(*group.features, yours))` gives a group with one feature more. The challenger "
            "asks for `table[list(catalogue(Settings()).names)]`.",
        ),
        file="lesson_00.py",
    ),
    Exercise(
        lesson=1,
        title="An image that may be deployed",
        objective="Find by reading what would wake the person on call, and write an image without it.",
        minutes=20,
        hints=(
            "Six questions. Is it the same image next month? What in it never serves? Whose folder is that? Who may it "
            "write as? Who notices that it hangs? Who hears SIGTERM?",
            "The lock comes in with COPY and is installed with --require-hashes. A user without rights needs a state "
            "folder of its own, and a list needs no $PORT: the service reads LABSERVER_PORT and LABSERVER_HOME.",
            "labserver/deploy/Containerfile has none of the six; see its USER, HEALTHCHECK and ENTRYPOINT. `chown "
            "10001:10001` the state folder before the USER, and let Python ask /healthz on port 9000.",
        ),
        file="lesson_01.Containerfile",
        seconds=600,  # the first build of an image; with its layers there, seconds
    ),
    Exercise(
        lesson=2,
        title="A source that knows no more than the clock",
        objective="Source a live feature with the right known_at, and prove that it does not look ahead.",
        minutes=20,
        hints=(
            "At 12:00, which flights are known to have left? The row of a flight has two times; one of "
            "them is only a plan.",
            "Put batches and departures into one list, in order of time (UNION ALL), and let a window look back three "
            "hours from each batch. A batch has no delay of its own: NULL, and avg leaves it out.",
            "`avg(delay) OVER (PARTITION BY origin ORDER BY moment RANGE BETWEEN INTERVAL 3 HOUR PRECEDING AND CURRENT "
            "ROW)`, where `moment` is `known_at` of a batch or `departed_at` of a flight that left; then keep the "
            "batches only.",
        ),
        file="lesson_02.py",
    ),
    Exercise(
        lesson=3,
        title="Validations that catch what crashes nothing",
        objective="Check features against their sources, and give the model only vectors that are whole and possible.",
        minutes=25,
        hints=(
            "Ask of each column: which source knows it too? Then compare, row by row. And of the table: which rows "
            "should be there, and which are?",
            "Match rows by their key: `features.merge(flights, on=KEY)`, `features.duplicated(KEY)`, an outer merge "
            "with `indicator=True`. Weather has a key as well: origin and `weather_known_at` (there: `known_at`).",
            "Compare departure_hour with `sched_dep_time // 100 + sched_dep_time % 100 / 60`, distance with the "
            "schedule, each weather column with its record (a gap only where the record has one), weather_known_at "
            "with as_of; and let plane_delay be missing exactly where plane_delay_age is.",
        ),
        file="lesson_03.py",
    ),
    Exercise(
        lesson=4,
        title="Ranges that refuse mistakes and no storms",
        objective="Tell impossible values from unseen ones, and do the right thing with each, in sight of the caller.",
        minutes=20,
        hints=(
            "For each feature think of two cases: the rarest thing that can really happen here, and the commonest "
            "mistake of units. The limit is between them.",
            "Sandy came with 80 mph and 960 hPa, Ida with 3.15 inches in an hour, an A380 has 525 seats; a share is at "
            "most 1, and 10 miles are 16 km. In `apply` assign to `matrix[...]` or use `out=matrix`: a copy is lost.",
            "`matrix[(matrix < self.low) | (matrix > self.high)] = np.nan`, then `np.clip(matrix, self.seen_low, "
            "self.seen_high, out=matrix)`. In check_override: `if not self.possible[name].holds(value): raise "
            "Refused(f'overrides.{name}', ..., str(self.possible[name]))`.",
        ),
        file="lesson_04.py",
    ),
    Exercise(
        lesson=5,
        title="All costs, and each arrival once",
        objective="Derive a decision from its costs, and keep an aggregate that a batch may run twice, late or not.",
        minutes=30,
        hints=(
            "(a) Write both expected costs as a function of p. Who pays for sending, and when? (b) Which arrivals did "
            "the last run count? The store must know, and must learn it together with the sums.",
            "(a) A warning costs `sending` always, and `false_alarm` with probability 1 - p. (b) Read the clock, ask "
            "for `arrived_at` after it and not after `until`, add, move the clock: all between BEGIN and COMMIT.",
            "(a) sending + (1 - p) * false_alarm = p * missed_delay; at a tie a warning does not cost less. (b) `ON "
            "CONFLICT DO UPDATE SET arrivals = arrivals + excluded.arrivals, …`, then `UPDATE clock SET moment = "
            "max(moment, ?)`, and ROLLBACK if anything raises.",
        ),
        file="lesson_05.py",
    ),
    Exercise(
        lesson=6,
        title="A loader that lets nothing through",
        objective="Verify a model's files before anything of them is loaded, and refuse in a sentence that helps.",
        minutes=20,
        hints=(
            "Which files may be in the folder, and which must? The manifest lists both. But is the manifest right?",
            "Verify the manifest first (`hash_manifest`), then compare the set of names with the folder, then hash "
            "each file (`sha256`). Only then read one.",
            "The manifest may be missing, cut off, or a JSON of another shape: catch OSError, ValueError and KeyError "
            "around reading it and raise Damaged. `present ^ set(manifest['files'])` has the names in one only.",
        ),
        file="lesson_06.py",
    ),
    Exercise(
        lesson=7,
        title="A plan for a box",
        objective="Turn measurements into workers, threads and a concurrency limit, and see the plan hold in a flood.",
        minutes=20,
        hints=(
            "Each number has one thing that decides it: threads, what all that fits answers together; workers, the "
            "busiest hour; the limit, the p99. Memory and cores only say how many fit.",
            "All workers start at once, so count with `peak_mib`, and leave the supervisor its share. Little's law is "
            "N = X * R: X is the rate, R the mean time inside. The p99 is `tail` times that mean.",
            "room: `min((memory - supervisor) // peak, cores // threads)`. Workers: `ceil(max(traffic) / (rate * (1 - "
            "spare)))`, cut to the room. Limit: `floor(rate * p99 in seconds / tail)`, at least 1, kept by a "
            "`ConcurrencyLimit`.",
        ),
        file="lesson_07.py",
        seconds=120,
    ),
    Exercise(
        lesson=8,
        title="Sixty trees without a library",
        objective="Make one prediction cost tens of microseconds, and prove that it is the same prediction.",
        minutes=40,
        hints=(
            "Where does the time go? A call of NumPy costs about a microsecond for three numbers and for a thousand. "
            "Following the trees level by level makes more than a hundred calls. Make fewer, or none.",
            "All 1,800 comparisons at once are one call. What do they say about the leaves? Each value that goes right "
            "rules out the leaves on the left of its node. What is left of a tree's leaves, first from the left, is "
            "the one. Or follow the trees in Python, on lists made once with `tolist()`: that is fast for one row.",
            "A bit for each leaf (at most 32 a tree fit into a uint32), a mask for each inner node that has 0 at the "
            "leaves on its left: `np.bitwise_and.reduceat(np.where(values > thresholds, masks, everything), begins, "
            "axis=1)`. The lowest bit that is left, `x & -x`, is the leaf. Leave thresholds float64.",
        ),
        file="lesson_08.py",
    ),
    Exercise(
        lesson=9,
        title="A watch that does not cry wolf",
        objective="Find faults upstream in daily counts, stay silent in normal months, and alert by a tested rule.",
        minutes=30,
        hints=(
            "Every limit needs a number of predictions below which nothing is judged, and belongs to one feature: ask "
            "the reference what is usual for it. `today.missing / today.rows` is a share.",
            "frozen: `day.bins / day.rows` are the shares of a day. Over the last ten days take the smallest share of "
            "each bin, and subtract `reference.shares`. What a living feed leaves of a bin in its worst day is little.",
            "missing: twice `usual_missing[:-1]`, at least 0.2. drifted: 1.5 times `worst_month`, at least 0.25. "
            "frozen: more than 0.15, for a feature that is `moving`. The rule: `sum by (feature) (increase(...[30m])) "
            "/ on () group_left () (sum(increase(...[30m])) > 50) > 0.1`.",
        ),
        file="lesson_09.py",
    ),
)


def exercise_of(lesson: int) -> Exercise:
    """The exercise of a lesson.

    Raises:
        LabError: if there is none.
    """
    for exercise in EXERCISES:
        if exercise.lesson == lesson:
            return exercise
    numbers = ", ".join(str(exercise.lesson) for exercise in EXERCISES)
    raise LabError(f"There is no exercise {lesson}. There are: {numbers}.")
