"""The command line: ``labserver build | serve | replay | score | bench | arc | capacity``.

Imports stand inside the commands: ``serve`` must not load what only ``build`` needs.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labserver.errors import LabError
from labserver.settings import FINISHED, settings

app = typer.Typer(
    help="A flight-delay service, from raw flights to answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True, highlight=False)


@app.command()
def build(
    if_needed: Annotated[bool, typer.Option(help="Do nothing if a whole bundle of this code is there.")] = False,
    parts: Annotated[Path | None, typer.Option(help="Parts with a catalogue of your own: a file or a folder.")] = None,
) -> None:
    """Make the warehouse, the features, the model and the bundle. Takes seconds."""
    if parts is not None:
        os.environ["LABSERVER_PARTS"] = str(parts)
    from labserver.stages import parts_of

    chosen = settings()
    catalogue = parts_of(chosen).catalogue(chosen)
    from labserver.freshness import is_current

    def current() -> bool:
        return if_needed and is_current(chosen, catalogue)

    def report(line: str) -> None:
        console.print(f"  {line}")

    if current():
        console.print(f"The bundle at {chosen.bundle} is current.")
        return
    with console.status("Building …"):
        from labserver.build import build as run
        from labserver.build import one_at_a_time

        with one_at_a_time(chosen.home, report):
            if current():  # the build that this one waited for has made it
                return
            built = run(chosen, catalogue, report)
    for name, scores in built.metrics.items():
        console.print(
            f"  {name.replace('_', ' '):>20}: AUC {scores['auc']:.3f}  log loss {scores['log_loss']:.3f}  "
            f"Brier {scores['brier']:.4f}  calibration error {scores['calibration_error']:.4f}"
        )
    console.print(f"Bundle {built.bundle_hash[:16]} is in force ({sum(built.seconds.values()):.1f} s).")


@app.command()
def serve(
    lesson: Annotated[int | None, typer.Option(min=0, max=FINISHED, help="The stage to run.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    unix_socket: Annotated[
        Path | None, typer.Option(help="Listen on a Unix socket instead, for this user only.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes; they share one page of metrics.")] = 1,
    parts: Annotated[Path | None, typer.Option(help="Your own parts: a Python file, or a folder of them.")] = None,
    fresh_store: Annotated[bool, typer.Option(help="Start with the bundle's snapshot of the online store.")] = False,
) -> None:
    """Start the service."""
    for name, value in (("LESSON", lesson), ("HOST", host), ("PORT", port), ("PARTS", parts)):
        if value is not None:
            os.environ[f"LABSERVER_{name}"] = str(value)
    from labserver.api.server import check_host, reserve, uvicorn_command
    from labserver.monitor.workers import share_metrics

    chosen = settings()
    check_host(chosen)
    if fresh_store:
        from labserver.features.store import copy_snapshot
        from labserver.model.bundle import load_bundle

        copy_snapshot(load_bundle(chosen.bundle).snapshot, chosen.online_store)
    share_metrics(chosen.shared_metrics, workers)
    if unix_socket is not None:
        reserve(unix_socket, workers)
    command = uvicorn_command(chosen, workers, unix_socket)
    # The server takes this process over, so that a signal to it is a signal to the server.
    os.execv(command[0], command)  # noqa: S606


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="First day, as YYYY-MM-DD.")] = "2013-09-01",
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days.")] = 1,
    speed: Annotated[float, typer.Option(min=0, help="Simulated seconds a second; 0 is as fast as it goes.")] = 0,
    outcomes: Annotated[bool, typer.Option(help="Send outcomes when flights land.")] = True,
    sample: Annotated[
        float, typer.Option(min=0, max=1, help="Share of flights whose vector is compared with training's.")
    ] = 1.0,
    every: Annotated[int, typer.Option(min=1, max=1000, help="Ask about every so many-th flight only.")] = 1,
    incident: Annotated[str | None, typer.Option(help="Publish a mistake, such as visibility-km.")] = None,
    url: Annotated[str | None, typer.Option(help="The live service. It must use the same LABSERVER_HOME.")] = None,
) -> None:
    """Send real flights through the live service in time order, and compare each vector with training's."""
    from labserver.incidents import incident as named
    from labserver.replay import replay as run

    first = _day(start)
    chosen = settings()
    mistake = named(incident) if incident else None
    address = url or f"http://127.0.0.1:{chosen.port}"
    summary = run(chosen, address, first, days, speed, outcomes, console, sample=sample, every=every, incident=mistake)
    console.print(summary.text())
    if summary.mismatches:
        raise typer.Exit(1)


@app.command()
def score(
    out: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet.")],
    month: Annotated[str | None, typer.Option(help="A month of 2013, as YYYY-MM, or 2013 for the year.")] = None,
    flights: Annotated[Path | None, typer.Option(help="A file of flights: .csv or .parquet.")] = None,
) -> None:
    """Score a month, or a file of flights, with the same service object that answers HTTP."""
    from labserver.score import score as run

    with console.status("Scoring …"):
        summary = run(settings(), month, flights, out)
    console.print(summary.text())


@app.command()
def bench(
    stages: Annotated[str, typer.Option(help="Which stages, separated by commas.")] = "0,5,6,7,8,9",
    rounds: Annotated[int, typer.Option(min=3, max=20, help="Interleaved rounds.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")] = 4,
    mlserver: Annotated[bool, typer.Option(help="MLServer 1.7 with the same model too. Downloads it once.")] = False,
    copies: Annotated[
        int, typer.Option(min=1, max=100, help="Time the build on so many copies of the year instead.")
    ] = 1,
) -> None:
    """Measure stages against a floor that does nothing, on this machine. Needs wrk and two cores."""
    if copies > 1:
        from labserver.capacity.copies import growth
        from labserver.features.definitions import CATALOGUE

        print(growth(copies, CATALOGUE, lambda line: console.print(f"  {line}")))
        return
    from labserver.capacity.bench import bench as run

    print(run(settings(), _numbers("--stages", stages), rounds, seconds, console, mlserver=mlserver))


@app.command()
def arc(
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds for each stage; medians count.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")] = 4,
    out: Annotated[Path, typer.Option(help="Where arc.json and arc.png go.")] = Path("notebooks"),
    readme: Annotated[Path, typer.Option(help="The file that shows the table.")] = Path("README.md"),
) -> None:
    """Measure all ten stages and write the course's table and picture. Needs wrk and two cores."""
    from labserver.capacity.arc import measure, table, write
    from labserver.capacity.pictures import arc as drawn

    steps = measure(settings(), rounds, seconds, lambda line: console.print(f"  {line}"))
    print(table(steps))
    write(steps, out / "arc.json", readme)
    drawn(steps).savefig(out / "arc.png")
    console.print(f"Wrote {out}/arc.json, {out}/arc.png and the table in {readme}.", soft_wrap=True)


@app.command()
def capacity(
    lesson: Annotated[int, typer.Option(min=0, max=FINISHED, help="The stage to measure.")] = FINISHED,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes to measure with.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the model in each worker.")] = 1,
    levels: Annotated[str, typer.Option(help="Concurrent users for each worker, rising.")] = "1,2,4,8,16,32",
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds of the open loop; medians count.")] = 3,
    rate: Annotated[float, typer.Option(min=0.001, help="Target: requests/s.")] = 1000,
    p99: Annotated[float, typer.Option(min=0.001, help="Target: p99 in milliseconds.")] = 25,
    memory: Annotated[float, typer.Option(min=1, help="Limit: MiB of all processes together.")] = 1024,
    cores: Annotated[int | None, typer.Option(min=1, help="Limit: cores. Left out, as many as it takes.")] = None,
    price: Annotated[float, typer.Option(min=0, help="Price of a core for an hour.")] = 0.05,
    spare: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the capacity to keep free.")] = 0.2,
    plot: Annotated[Path | None, typer.Option(help="Folder for pictures of what was measured.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for everything as JSON.")] = None,
) -> None:
    """Measure a stage that it starts itself, and plan for a target. Takes about a minute."""
    from labserver.capacity.measure import Run, measure
    from labserver.capacity.plan import Target, make_plan
    from labserver.capacity.report import text, to_json

    run = Run(lesson, workers, threads, _numbers("--levels", levels), seconds, rounds)
    target = Target(rate, p99, memory, price, spare, cores)
    measured = measure(settings(), run, lambda line: console.print(f"  {line}"))
    plan = make_plan(measured.worker, target)
    print(text(measured, target, plan))
    if json_file is not None:
        json_file.write_text(json.dumps(to_json(measured, target, plan), indent=1, allow_nan=False))
    if plot is not None:
        from labserver.capacity.pictures import draw

        console.print("Wrote " + ", ".join(str(path) for path in draw(measured, target, plot)), soft_wrap=True)
    if not plan.met:
        raise typer.Exit(1)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise LabError(f"{option} {text!r} is not a list such as 0,8,9.") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LabError(f"--from {text!r} is not a day. Write it as 2013-09-01.") from None


def main() -> None:
    """Run a command. What a person can mend is one line and exit code 1."""
    try:
        app()
    except LabError as error:
        console.print(f"error: {error}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
