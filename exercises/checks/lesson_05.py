"""Lesson 5: a threshold that must follow from its costs, a batch, and the rule in the live service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from exercises.checks.attempt import Attempt
from exercises.checks.batch import aggregated
from exercises.checks.result import CheckFinding
from labserver.parts import Context

TASK_COSTS = (1.0, 2.0, 6.0)
"""Sending, false alarm, missed delay: those of the task. The threshold is 3/8, which a float holds exactly."""
OTHER_COSTS = ((0.5, 1.0, 3.0), (2.0, 5.0, 4.0), (7.0, 2.0, 6.0), (0.0, 1.0, 3.0))
PROBABILITIES = (0.0, 0.25, 0.3, 0.374, 0.375, 0.376, 0.45, 0.55, 0.8, 1.0)


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Costs, then the aggregate, both in this process; then the rule in the live service."""
    context = attempt.context()
    solved = True
    for found in costs_and_sums(attempt, context):
        solved = solved and found.passed
        yield found
    if solved:
        yield worth(context)
        yield live(attempt)


def costs_and_sums(attempt: Attempt, context: Context) -> Iterator[CheckFinding]:
    """Both halves. A learner with a mistake in the first gets the findings of the second, too."""
    yield from thresholds(attempt.named("threshold"))
    yield decided(attempt.named("decision")(context))
    yield from aggregated(attempt)


def thresholds(threshold: Callable[[float, float, float], float]) -> Iterator[CheckFinding]:
    """The threshold for the task's costs and for others."""
    for costs in (TASK_COSTS, *OTHER_COSTS):
        sending, false_alarm, missed = costs
        expected = (sending + false_alarm) / (false_alarm + missed)
        got = float(threshold(*costs))
        passed = abs(got - expected) < 1e-9
        if not passed or costs == OTHER_COSTS[-1]:  # one finding for all that work
            yield CheckFinding(
                "The threshold follows from the costs.",
                passed,
                sent=f"threshold({', '.join(f'{cost:g}' for cost in costs)})",
                received=f"{got:.4f}",
                expected=f"{expected:.4f}: there {sending:g} + {1 - expected:.3f} * {false_alarm:g} = "
                f"{expected:.3f} * {missed:g}",
                why="Every flight between the two thresholds is decided in the way that is expected to cost more.",
                mistake="" if passed else misread(costs, got),
            )
            return


def misread(costs: tuple[float, float, float], got: float) -> str:
    """The name of the mistake that gives this threshold."""
    sending, false_alarm, missed = costs
    known = {
        "one-half": 0.5,
        "sending-forgotten": false_alarm / (false_alarm + missed),
        "sending-only-when-wrong": (sending + false_alarm) / (sending + false_alarm + missed),
        "costs-swapped": (sending + missed) / (false_alarm + missed),
        "costs-swapped-and-sending-forgotten": missed / (false_alarm + missed),
    }
    return next((name for name, value in known.items() if abs(got - value) < 1e-9), "")


def cheaper(probability: float) -> str:
    """The decision that is expected to cost less, from the two costs and no threshold."""
    sending, false_alarm, missed = TASK_COSTS
    return "warn" if sending + (1 - probability) * false_alarm < probability * missed else "no_warning"


def decided(policy: Any) -> CheckFinding:
    """The part on a few probabilities, the threshold itself among them."""
    sending, false_alarm, missed = TASK_COSTS
    wrong = [p for p in PROBABILITIES if policy.decide(p) != cheaper(p)]
    shown = wrong[0] if wrong else 0.375
    answers = [policy.decide(p) for p in PROBABILITIES]
    mistake = ""
    if wrong == [0.375]:
        mistake = "warns-at-a-tie"
    elif answers == ["warn" if p > 0.5 else "no_warning" for p in PROBABILITIES]:
        mistake = "one-half"
    elif wrong:
        mistake = "other-rule"
    return CheckFinding(
        "The decision is the one that is expected to cost less.",
        not wrong,
        sent=f"decide({shown})",
        received=str(policy.decide(shown)),
        expected=f"{cheaper(shown)}: a warning costs {sending + (1 - shown) * false_alarm:.3f}, "
        f"silence {shown * missed:.3f}",
        why="Warn only where a warning costs less. At a tie, silence is the one that bothers nobody.",
        mistake=mistake,
    )


def worth(context: Context) -> str:
    """A finding on the rule's cost on the flights of September to December, compared with two simpler rules."""
    from labserver.stages.naive.loading import verified_experiment  # imports pandas: only for an answer that is right

    held_out = verified_experiment(context)["held_out"].dropna(subset=["late"])
    late, probability = held_out["late"].to_numpy(bool), held_out["probability"].to_numpy(float)
    sending, false_alarm, missed = TASK_COSTS

    def cost(limit: float) -> float:
        warned = probability > limit
        return float((warned * (sending + ~late * false_alarm) + (~warned & late) * missed).mean())

    own = cost(sum(TASK_COSTS[:2]) / sum(TASK_COSTS[1:]))
    return f"{own:.3f} a held-out flight; {cost(0.5):.3f} with one half, {cost(2.0):.3f} without any warning"


def live(attempt: Attempt) -> CheckFinding:
    """The service with this rule."""
    with attempt.service() as service:
        answer = service.post("/v1/predictions/batch", {"flights": attempt.flights("2013-09-02", 200)})
    predictions = answer.json()["predictions"] if answer.status_code == 200 else []
    wrong = [prediction for prediction in predictions if prediction["decision"] != cheaper(prediction["probability"])]
    number = len(predictions)
    first = wrong[0] if wrong else {}
    return CheckFinding(
        "The live service decides by it.",
        bool(predictions) and not wrong,
        sent="POST /v1/predictions/batch with flights of 2 September",
        received=f"{answer.status_code}, {number} decisions"
        + (f", of which {len(wrong)} cost more, such as {first}" if wrong else ""),
        expected="for each flight the decision that is expected to cost less",
        why="A rule that is right in a test and not in the service has not been deployed.",
    )
