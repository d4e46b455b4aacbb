"""The command line of the course: ``lab start | prepare | check | watch | hint | progress | reset | update | solution |
serve | doctor | grade | join | classroom``.

Imports stand inside the commands: ``lab hint`` must not load what only ``lab start`` needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from exercises.classroom.errors import ClassroomError
from labserver.errors import LabError

app = typer.Typer(help="Ten lessons in deploying models.", no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False)

Lesson = Annotated[int, typer.Argument(min=0, max=9, help="The lesson's number.", show_default=False)]


@app.command()
def start(
    jupyter: Annotated[bool, typer.Option(help="Start JupyterLab beside the service.")] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser, if this terminal has a display.")] = True,
) -> None:
    """Build if needed, start the finished service and JupyterLab, and print both addresses."""
    from exercises import start

    start.start(jupyter, browser)


@app.command()
def prepare() -> None:
    """Make or renew work/, with its copies of the notebooks, and start nothing. `lab start` does this too."""
    from exercises.start import prepare
    from exercises.workspace import folder

    prepare(folder().resolve())


@app.command()
def check(
    lesson: Annotated[int | None, typer.Argument(min=0, max=9, help="The lesson; all if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file too.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every failure in full.")] = False,
) -> None:
    """Check your answer in a live service. Exit code 1 unless everything that was checked is solved."""
    from exercises.course import here
    from exercises.registry import EXERCISES, exercise
    from exercises.result import State
    from exercises.shown import junit as to_junit
    from exercises.shown import lines
    from labserver.settings import settings

    course, results = here(), []
    for known in EXERCISES if lesson is None else (exercise(lesson),):
        result = course.check(known, settings())
        results.append(result)
        if not as_json:
            print("\n".join(lines(result, everything=everything)))
    if as_json:
        print(json.dumps([result.to_json() for result in results], indent=1))
    if junit:
        try:
            junit.write_bytes(to_junit(results))
        except OSError as error:
            raise LabError(f"{junit} cannot be written ({error.strerror}).") from None
    raise typer.Exit(0 if all(result.state is State.SOLVED for result in results) else 1)


@app.command()
def watch(
    lesson: Annotated[int | None, typer.Argument(min=0, max=9, help="The lesson; the next one if left out.")] = None,
) -> None:
    """Check again whenever you save. Keys: h for a hint, n for the next lesson, q to stop."""
    from exercises.watch import watch
    from labserver.settings import settings

    watch(lesson, settings())


@app.command()
def hint(
    lesson: Lesson,
    number: Annotated[int | None, typer.Argument(min=1, max=3, help="1 is gentle, 3 nearly there.")] = None,
) -> None:
    """Show a hint: the next one each time you ask."""
    from exercises.course import here
    from exercises.registry import exercise

    known = exercise(lesson)
    number, text = here().hint(known, number)
    print(f"Hint {number} of {len(known.hints)} for lesson {lesson}: {text}")


@app.command()
def progress() -> None:
    """Say for each lesson whose part is in force (yours or borrowed), and how the last check went."""
    from exercises.course import here
    from exercises.shown import summary

    course = here()
    print("\n".join(summary(course.progress())))
    for changed in course.workspace.changed():
        print(f"The course has changed exercise {changed.lesson}, which you edited: `lab update {changed.lesson}`.")
    if known := course.next():
        print(f"Next: work/{known.file}. `lab watch {known.lesson}` checks whenever you save.")
    else:
        print("All solved. `lab serve` runs the finished service on your own parts.")


@app.command()
def reset(lesson: Lesson, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Start an exercise anew. What you wrote is kept beside it."""
    from exercises.course import here
    from exercises.registry import exercise

    known, course = exercise(lesson), here()
    if not yes and not _agreed(f"Replace work/{known.file} by the untouched exercise? A backup is kept."):
        return
    backup = course.workspace.reset(known)
    print(f"work/{known.file} is as at the beginning." + (f" What you wrote is in {backup.name}." if backup else ""))


@app.command()
def update(
    lesson: Lesson, keep: Annotated[bool, typer.Option("--keep", help="Keep your file as it is.")] = False
) -> None:
    """Bring a course update into a file that you have edited, or keep yours."""
    from exercises.course import here
    from exercises.registry import exercise

    known, workspace = exercise(lesson), here().workspace
    if known not in workspace.changed():
        print(f"The course has not changed exercise {lesson} since you got it.")
    elif keep:
        workspace.keep(known)
        print(f"work/{known.file} stays as it is.")
    elif workspace.merge(known):
        print(f"The update is in work/{known.file}; what you had is beside it.")
    else:
        print(f"The update is in work/{known.file}. Look for <<<<<<< where both changed the same lines.")


@app.command()
def solution(lesson: Lesson, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Show the course's own answer as a difference to yours."""
    from exercises.course import here
    from exercises.registry import exercise

    known, workspace = exercise(lesson), here().workspace
    if yes or _agreed(f"Show the answer to lesson {lesson}? There are three hints: `lab hint {lesson}`."):
        print(workspace.against_solution(known) or f"work/{known.file} is the same as the solution.")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where to listen.")] = 8000,
    unix_socket: Annotated[Path | None, typer.Option(help="Listen on a Unix socket of yours instead.")] = None,
) -> None:
    """Run the finished service on your solved parts; the course lends the others."""
    from exercises.serving import serve

    serve(port, unix_socket)


@app.command()
def doctor() -> None:
    """Look whether everything is here that the course needs, and say what mends what is not."""
    from exercises.doctor import examine

    troubles = 0
    for symptom in examine():
        troubles += symptom.needed and not symptom.well
        print(f"{'✔' if symptom.well else '✘' if symptom.needed else '·'} {symptom.name:18} {symptom.found}")
        if not symptom.well:
            print(f"  {'':18} {symptom.remedy}")
    raise typer.Exit(1 if troubles else 0)


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with a folder for each learner.", show_default=False)],
    csv: Annotated[Path, typer.Option(help="Where the table goes.")] = Path("grades.csv"),
    feedback: Annotated[Path | None, typer.Option(help="Where a text for each learner goes.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Checks at the same time.")] = 2,
) -> None:
    """Check a folder of submissions, each in isolation, and write a table and a text for each learner."""
    from exercises.grading import grade
    from labserver.settings import settings

    grade(submissions, csv, feedback or csv.with_name("feedback"), settings(), jobs)


@app.command()
def join(
    code: Annotated[str | None, typer.Argument(help="The class's code.", show_default=False)] = None,
    board: Annotated[str, typer.Option(help="The board's address.")] = "http://127.0.0.1:8800",
    name: Annotated[str | None, typer.Option(help="A pseudonym; the board finds one if left out.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="The board's own certificate, a PEM file.")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Post no more.")] = False,
) -> None:
    """Let your instructor see how your checks go. Without a code: say whether you have joined."""
    from exercises.classroom import joined
    from exercises.classroom.shown import left, promise, standing
    from exercises.course import here

    work = here().workspace.path
    if leave:
        print(left(joined.leave(work)))
    elif code is None:
        print("\n".join(standing(work)))
    else:
        print("\n".join(promise(joined.join(work, code, board, name, _text(certificate)))))


@app.command()
def classroom(
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 opens the board to the room.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen.")] = 8800,
    file: Annotated[Path, typer.Option(help="The file of the class; made if missing.")] = Path("classroom.db"),
    certificate: Annotated[Path | None, typer.Option(help="Speak TLS with this certificate, a PEM file.")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key, a PEM file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all results to this file, and serve nothing.")] = None,
) -> None:
    """For instructors: show how far each learner is who joins. Pseudonyms and results, never code."""
    from exercises.classroom.serving import Where, serve
    from exercises.classroom.table import write_csv
    from exercises.registry import EXERCISES

    if csv:
        write_csv(file, csv)
        print(f"Wrote {csv}.")
    else:
        serve(file, Where(host, port, certificate, key), [known.title for known in EXERCISES])


def _text(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii") if file else ""
    except (OSError, ValueError):
        raise LabError(f"{file} cannot be read as a PEM file.") from None


def _agreed(question: str) -> bool:
    """Asks. Without a terminal there is nobody to ask."""
    if not sys.stdin.isatty():
        raise LabError(f"{question} Nobody is there to ask; say --yes.")
    return typer.confirm(question)


def main() -> None:
    """Run a command. What a person can mend is one line and exit code 1."""
    try:
        app()
    except (LabError, ClassroomError) as error:
        console.print(escape(f"error: {error}"), soft_wrap=True)
        sys.exit(1)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
