"""Formats results: lines for a terminal, HTML for a notebook, XML for CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from xml.etree import ElementTree

from exercises.checks.registry import Exercise, exercise_of
from exercises.checks.result import CheckFinding, Result, State

SIGNS = {State.SOLVED: "✔", State.NOT_YET: "✘", State.NOT_ATTEMPTED: "·", State.NOT_JUDGED: "?"}
COLOURS = {
    State.SOLVED: "#00674B",
    State.NOT_YET: "#A33C00",
    State.NOT_ATTEMPTED: "#555555",
    State.NOT_JUDGED: "#6B4E00",
}


def details(finding: CheckFinding) -> list[tuple[str, str]]:
    """The details of a finding, by name."""
    named = {"sent": finding.sent, "received": finding.received, "expected": finding.expected}
    return [(name, text) for name, text in (named | {"why it matters": finding.why}).items() if text]


def result_lines(result: Result, *, everything: bool = False) -> Iterator[str]:
    """A result in plain lines: the findings that passed, then the first that did not, in full.

    Args:
        result: of a check.
        everything: in full for each that did not pass, not only for the first.
    """
    yield verdict(result)
    for finding in result.findings:
        yield from found_lines(finding, in_full=not finding.passed and (everything or finding is result.next))
    yield from advice(result)


def verdict(result: Result) -> str:
    """A result in one line."""
    said = f"{result.state.value} ({result.score})" if result.score else result.state.value
    if result.state is not State.NOT_ATTEMPTED:
        said += f", {result.seconds:.1f} s"
    return f"{SIGNS[result.state]} Lesson {result.lesson}, {exercise_of(result.lesson).title}: {said}"


def found_lines(finding: CheckFinding, *, in_full: bool) -> Iterator[str]:
    """A finding in plain lines."""
    yield f"  {'✔' if finding.passed else '✘'} {finding.what}"
    if in_full:
        yield from (f"      {name + ':':16}{text}" for name, text in details(finding))


def advice(result: Result) -> Iterator[str]:
    """Advice on a result that was not judged."""
    if result.state is State.NOT_ATTEMPTED:
        file = exercise_of(result.lesson).file
        yield f"  Edit work/{file}, then check again. `lab hint {result.lesson}` gives a hint."
    if result.state is State.NOT_JUDGED:
        yield f"  could not be judged: {result.reason}"


def html(result: Result) -> str:
    """A result as HTML for a notebook. Everything that came from a learner's code is escaped."""
    exercise = exercise_of(result.lesson)
    score = f" · {escape(result.score)}" if result.score else ""
    head = (
        f'<p style="color:{COLOURS[result.state]}"><b>{SIGNS[result.state]} Lesson {result.lesson}, '
        f"{escape(exercise.title)}: {result.state.value}</b>{score}</p>"
    )
    if result.state is State.NOT_ATTEMPTED:
        head += f"<p>Edit <code>work/{exercise.file}</code>, save it, and run this cell again.</p>"
    if result.state is State.NOT_JUDGED:
        head += f"<p>could not be judged: {escape(result.reason)}</p>"
    return f"<div>{head}<ul>{''.join(_item(finding) for finding in result.findings)}</ul></div>"


def _item(finding: CheckFinding) -> str:
    state = State.SOLVED if finding.passed else State.NOT_YET
    what = f'<span style="color:{COLOURS[state]}">{SIGNS[state]} {escape(finding.what)}</span>'
    rows = "" if finding.passed else "".join(_row(name, text) for name, text in details(finding))
    return f'<li style="list-style:none">{what}{f"<table>{rows}</table>" if rows else ""}</li>'


def _row(name: str, text: str) -> str:
    return f'<tr><th style="text-align:left">{name}</th><td style="text-align:left">{escape(text)}</td></tr>'


def junit(results: Sequence[Result]) -> bytes:
    """A JUnit file with one test case per finding, for CI systems. A result that was not judged is an error."""
    suites = ElementTree.Element("testsuites")
    for result in results:
        cases = result.findings or (CheckFinding("The exercise is attempted.", False, received=result.state.value),)
        if result.state is State.NOT_JUDGED:
            cases = (*result.findings, CheckFinding("The check can judge it.", False, received=result.reason))
        errors = int(result.state is State.NOT_JUDGED)
        failures = sum(not case.passed for case in cases) - errors
        numbers = {"tests": len(cases), "failures": failures, "errors": errors, "time": result.seconds}
        attributes = {"name": f"lesson {result.lesson}"} | {name: str(number) for name, number in numbers.items()}
        suite = ElementTree.SubElement(suites, "testsuite", attributes)
        for number, case in enumerate(cases, start=1):
            element = ElementTree.SubElement(
                suite, "testcase", {"classname": f"lesson_{result.lesson:02}", "name": case.what}
            )
            if not case.passed:
                text = "\n".join(f"{name}: {said}" for name, said in details(case))
                kind = "error" if errors and number == len(cases) else "failure"
                ElementTree.SubElement(element, kind, {"message": case.received[:200]}).text = text
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def hint(exercise: Exercise, number: int, text: str) -> str:
    """A hint; after the last one, the command that shows the solution."""
    last = f"\nThis is the last hint. `lab solution {exercise.lesson}` shows the course's solution."
    count = len(exercise.hints)
    return f"Hint {number} of {count} for lesson {exercise.lesson}: {text}{last * (number == count)}"


def summary(progress: Sequence[tuple[Exercise, str, str]]) -> Iterator[str]:
    """``lab progress``: headings, and a line per lesson with the exercise, its minutes, its state and its score."""
    yield f"  Lesson  {'Exercise':46} {'Time':>6}  State"
    for exercise, state, score in progress:
        sign = SIGNS.get(State(state), "·") if state in set(State) else "·"
        said = f"{state} ({score})" if score else state
        yield f"{sign} {exercise.lesson:6}  {exercise.title:46} {exercise.minutes:2} min  {said}"
