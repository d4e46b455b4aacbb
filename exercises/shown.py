"""Results as people read them: lines for a terminal, HTML for a notebook, XML for CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from xml.etree import ElementTree

from exercises.registry import Exercise, exercise
from exercises.result import Finding, Result, State

SIGNS = {State.SOLVED: "✔", State.NOT_YET: "✘", State.NOT_ATTEMPTED: "·"}
COLOURS = {State.SOLVED: "#00674B", State.NOT_YET: "#A33C00", State.NOT_ATTEMPTED: "#555555"}


def details(finding: Finding) -> list[tuple[str, str]]:
    """What there is to say of a finding, by name."""
    named = {"sent": finding.sent, "received": finding.received, "expected": finding.expected}
    return [(name, text) for name, text in (named | {"why it matters": finding.why}).items() if text]


def lines(result: Result, *, everything: bool = False) -> Iterator[str]:
    """A result in plain lines: what works, then the first thing that does not, in full.

    Args:
        result: of a check.
        everything: in full for each that did not pass, not only for the first.
    """
    known = exercise(result.lesson)
    said = f"{result.state.value} ({result.score})" if result.score else result.state.value
    if result.state is not State.NOT_ATTEMPTED:
        said += f", {result.seconds:.1f} s"
    yield f"{SIGNS[result.state]} Lesson {result.lesson}, {known.title}: {said}"
    if result.state is State.NOT_ATTEMPTED:
        yield f"  Edit work/{known.file}, then check again. `lab hint {result.lesson}` gives a hint."
    for finding in result.findings:
        yield f"  {'✔' if finding.passed else '✘'} {finding.what}"
        if not finding.passed and (everything or finding is result.next):
            yield from (f"      {name + ':':16}{text}" for name, text in details(finding))
    if result.borrowed and result.state is not State.NOT_ATTEMPTED:
        yield f"  Borrowed from the course in this service: lesson {', '.join(map(str, result.borrowed))}."


def html(result: Result) -> str:
    """The same for a notebook. Everything that came from a learner's code is escaped."""
    known = exercise(result.lesson)
    score = f" · {escape(result.score)}" if result.score else ""
    head = (
        f'<p style="color:{COLOURS[result.state]}"><b>{SIGNS[result.state]} Lesson {result.lesson}, '
        f"{escape(known.title)}: {result.state.value}</b>{score}</p>"
    )
    if result.state is State.NOT_ATTEMPTED:
        head += f"<p>Edit <code>work/{known.file}</code>, save it, and run this cell again.</p>"
    return f"<div>{head}<ul>{''.join(_item(finding) for finding in result.findings)}</ul></div>"


def _item(finding: Finding) -> str:
    state = State.SOLVED if finding.passed else State.NOT_YET
    what = f'<span style="color:{COLOURS[state]}">{SIGNS[state]} {escape(finding.what)}</span>'
    rows = "" if finding.passed else "".join(_row(name, text) for name, text in details(finding))
    return f'<li style="list-style:none">{what}{f"<table>{rows}</table>" if rows else ""}</li>'


def _row(name: str, text: str) -> str:
    return f'<tr><th style="text-align:left">{name}</th><td style="text-align:left">{escape(text)}</td></tr>'


def junit(results: Sequence[Result]) -> bytes:
    """One test case a finding, for whoever collects JUnit files."""
    suites = ElementTree.Element("testsuites")
    for result in results:
        cases = result.findings or (Finding("The exercise is attempted.", False, received=result.state.value),)
        failures = sum(not case.passed for case in cases)
        attributes = {"name": f"lesson {result.lesson}", "tests": str(len(cases)), "failures": str(failures)}
        suite = ElementTree.SubElement(suites, "testsuite", {**attributes, "time": str(result.seconds)})
        for case in cases:
            element = ElementTree.SubElement(
                suite, "testcase", {"classname": f"lesson_{result.lesson:02}", "name": case.what}
            )
            if not case.passed:
                text = "\n".join(f"{name}: {said}" for name, said in details(case))
                ElementTree.SubElement(element, "failure", {"message": case.received[:200]}).text = text
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def summary(results: Sequence[tuple[Exercise, str, Result | None]]) -> Iterator[str]:
    """``lab progress``: a line a lesson: whose part is in force, and the last result."""
    for known, whose, result in results:
        said = result.state.value + (f" ({result.score})" if result.score else "") if result else "not checked"
        sign = SIGNS[result.state] if result else "·"
        yield f"{sign} {known.lesson}  {known.title:44} {known.minutes:3} min  {whose:13} {said}"
