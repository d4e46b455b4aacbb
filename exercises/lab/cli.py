"""The command line of the course: ``lab start | prepare | check | watch | hint | progress | reset | update | solution |
serve | url | ask | doctor | grade | join | classroom``.

Imports are inside the commands: ``lab hint`` must not load what only ``lab start`` needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from exercises.classroom.errors import ClassroomError
from labserver.console import console, help_style, print_everywhere
from labserver.errors import LabError, naming_files
from labserver.interrupts import one_line

app = typer.Typer(
    help="Ten lessons in deploying models.",
    no_args_is_help=True,
    rich_markup_mode=help_style(),
    pretty_exceptions_enable=False,
)

Lesson = Annotated[int, typer.Argument(min=0, max=9, help="The lesson's number.", show_default=False)]


@app.command()
def start(
    jupyter: Annotated[bool, typer.Option(help="Start JupyterLab beside the service.")] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser, if this terminal has a display.")] = True,
) -> None:
    """Build if needed, start the finished service and JupyterLab, and print both addresses."""
    from exercises.lab import start

    start.start(jupyter, browser)


@app.command()
def prepare() -> None:
    """Make or update work/, with its copies of the notebooks, and start nothing. `lab start` does this too."""
    from exercises.lab.start import prepare_folder
    from exercises.lab.workspace import folder

    prepare_folder(folder().resolve())


@app.command()
def check(
    lesson: Annotated[int | None, typer.Argument(min=0, max=9, help="The lesson; all if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file too.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every failure in full.")] = False,
) -> None:
    """Check your answer in a running service.

    Exit code 0 if all that was checked is solved, else 1; also for "not judged", which means that the machine was too
    busy to judge your answer: run it again.
    """
    from exercises.lab.checking import check

    solved = check(lesson, as_json=as_json, junit_file=junit, everything=everything)
    raise typer.Exit(0 if solved else 1)


@app.command()
def watch(
    lesson: Annotated[int | None, typer.Argument(min=0, max=9, help="The lesson; the next one if left out.")] = None,
) -> None:
    """Check every time you save. Keys: h for a hint, n for the next lesson, q to stop."""
    from exercises.lab.watch import watch
    from labserver.settings import settings

    watch(lesson, settings())


@app.command()
def hint(
    lesson: Lesson,
    number: Annotated[int | None, typer.Argument(min=1, max=3, help="1 to 3; each gives away a little more.")] = None,
) -> None:
    """Show a hint: the next one each time you ask."""
    from exercises.checks.registry import exercise_of
    from exercises.lab.course import here
    from exercises.lab.shown import hint

    exercise = exercise_of(lesson)
    print(hint(exercise, *here().hint(exercise, number)))


@app.command()
def progress() -> None:
    """Show your progress in each lesson, and what is next."""
    from exercises.lab.checking import following
    from exercises.lab.course import here
    from exercises.lab.shown import summary

    course = here()
    print("\n".join(summary(course.standing())))
    for changed in course.workspace.changed():
        print(f"The course has changed exercise {changed.lesson}, which you edited: `lab update {changed.lesson}`.")
    print(following(course))


@app.command()
def reset(lesson: Lesson, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Reset an exercise. A backup of your file is kept beside it."""
    from exercises.checks.registry import exercise_of
    from exercises.lab.course import here

    exercise, course = exercise_of(lesson), here()
    if not yes and not _agreed(f"Replace work/{exercise.file} by the untouched exercise? A backup is kept."):
        return
    backup = course.workspace.reset(exercise)
    print(f"work/{exercise.file} is as at the beginning." + (f" What you wrote is in {backup.name}." if backup else ""))


@app.command()
def update(
    lesson: Lesson, keep: Annotated[bool, typer.Option("--keep", help="Keep your file as it is.")] = False
) -> None:
    """Merge a course update into a file that you have edited, or keep yours."""
    from exercises.checks.registry import exercise_of
    from exercises.lab.course import here

    exercise, workspace = exercise_of(lesson), here().workspace
    if exercise not in workspace.changed():
        print(f"The course has not changed exercise {lesson} since you got it.")
    elif keep:
        workspace.keep(exercise)
        print(f"work/{exercise.file} stays as it is.")
    elif workspace.merge(exercise):
        print(f"The update is in work/{exercise.file}; what you had is beside it.")
    else:
        print(f"The update is in work/{exercise.file}, with <<<<<<< where both changed a line; yours is beside it.")


@app.command()
def solution(lesson: Lesson, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Show the course's solution as a diff against your file."""
    from exercises.checks.registry import exercise_of
    from exercises.lab.course import here

    exercise, workspace = exercise_of(lesson), here().workspace
    if yes or _agreed(f"Show the answer to lesson {lesson}? There are three hints: `lab hint {lesson}`."):
        print(workspace.against_solution(exercise) or f"work/{exercise.file} is the same as the solution.")


@app.command()
def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Where to listen; if left out, 8000 or any free port.")
    ] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="Listen on a Unix socket of yours instead.")] = None,
) -> None:
    """Run the finished service with your solved parts. Unsolved lessons use the course's solution."""
    from exercises.lab.serving import serve

    serve(port, unix_socket)


@app.command()
def url() -> None:
    """Print the address of the running service, such as for curl."""
    from exercises.lab.asking import running

    print(running().url)


@app.command()
def ask(
    question: Annotated[
        bool, typer.Option("--question", help="Print the body of the request and send nothing.")
    ] = False,
) -> None:
    """Send the running service a request about a flight that departs soon, and show the same request for curl."""
    from exercises.lab.asking import answered, example, running

    client = running()
    print(json.dumps(example(client)) if question else answered(client))


@app.command()
def doctor() -> None:
    """List what the course needs, what this machine lacks, and how to fix it."""
    from exercises.lab.doctor import examine

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
    from exercises.lab.grading import grade
    from labserver.settings import settings

    grade(submissions, csv, feedback or csv.with_name("feedback"), settings(), jobs)


@app.command()
def join(
    code: Annotated[str | None, typer.Argument(help="The class's code.", show_default=False)] = None,
    board: Annotated[str, typer.Option(help="The board's address.")] = "http://127.0.0.1:8800",
    name: Annotated[str | None, typer.Option(help="A pseudonym; the board chooses one if left out.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="The board's own certificate, a PEM file.")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Post no more.")] = False,
) -> None:
    """Send the results of your checks to your instructor's board. Without a code: show whether you have joined."""
    from exercises.classroom import membership
    from exercises.classroom.membership_text import left, promise, standing
    from exercises.lab.course import here

    work = here().workspace.path
    if leave:
        print(left(membership.leave(work)))
    elif code is None:
        print("\n".join(standing(work)))
    else:
        print("\n".join(promise(membership.join(work, code, board, name, _text(certificate)))))


@app.command()
def classroom(
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 opens the board to the room.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen.")] = 8800,
    file: Annotated[Path, typer.Option(help="The file of the class; made if missing.")] = Path("classroom.db"),
    certificate: Annotated[Path | None, typer.Option(help="Speak TLS with this certificate, a PEM file.")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key, a PEM file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all results to this file, and serve nothing.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="Remove a learner and all results; may be given again. Serves nothing.")
    ] = None,
    remove_silent: Annotated[
        bool, typer.Option("--remove-silent", help="Remove all who have no results. Serves nothing.")
    ] = False,
    new_code: Annotated[
        bool, typer.Option("--new-code", help="Change the code to join; who is in stays in. Serves nothing.")
    ] = False,
) -> None:
    """For instructors: show the progress of all learners who join. Pseudonyms and results, never code."""
    from exercises.checks.registry import EXERCISES
    from exercises.classroom.board_server import Where, serve
    from exercises.classroom.posts_csv import write_csv

    if csv:
        write_csv(file, csv)
        print(f"Wrote {csv}.")
    elif remove or remove_silent or new_code:
        from exercises.classroom.roll import clean_up

        print("\n".join(clean_up(file, remove or [], silent=remove_silent, new_code=new_code)))
    else:
        serve(file, Where(host, port, certificate, key), [exercise.title for exercise in EXERCISES])


def _text(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii") if file else ""
    except (OSError, ValueError):
        raise LabError(f"{file} cannot be read as a PEM file.") from None


def _agreed(question: str) -> bool:
    """Ask the user, which needs a terminal."""
    if not sys.stdin.isatty():
        raise LabError(f"{question} There is no terminal to answer in; add --yes.")
    return typer.confirm(question)


def main() -> None:
    """Run a command. An error that a person can fix is one line and exit code 1."""
    print_everywhere()
    with one_line():
        try:
            with naming_files(" LAB_WORK names the folder of your answers."):
                app()
        except (LabError, ClassroomError) as error:
            console.print(f"error: {error}")
            sys.exit(1)
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)


if __name__ == "__main__":
    main()
