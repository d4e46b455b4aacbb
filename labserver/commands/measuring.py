"""``labserver bench | arc | capacity | detect``: what measures.

Imports are inside the commands: showing the help loads none of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labserver.console import console
from labserver.errors import LabError
from labserver.running.signs import alive
from labserver.settings import FINISHED_STAGE, ROOT, settings

app = typer.Typer()


@app.command()
def bench(
    stages: Annotated[str, typer.Option(help="Which stages, separated by commas.")] = "0,5,6,7,8,9",
    rounds: Annotated[int, typer.Option(min=3, max=20, help="Interleaved rounds.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")] = 4,
    mlserver: Annotated[bool, typer.Option(help="MLServer 1.7 with the same model too. Downloads it once.")] = False,
    copies: Annotated[int, typer.Option(min=1, max=100, help="Time the build on N copies of the year instead.")] = 1,
) -> None:
    """Measure stages against a floor that does nothing, on this machine. Needs wrk and two cores."""
    if copies > 1:
        from labserver.capacity.copies import growth
        from labserver.features.definitions import CATALOGUE

        with alive(console, "Building on copies") as report:
            grown = growth(copies, CATALOGUE, report)
        print(grown)
        return
    from labserver.capacity.bench import bench as run

    with alive(console, "Measuring") as report:
        measured = run(settings(), _numbers("--stages", stages), rounds, seconds, report, mlserver=mlserver)
    print(measured)


@app.command()
def arc(
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds for each stage; medians count.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")] = 4,
    out: Annotated[Path, typer.Option(help="Where arc.json and arc.png go.")] = ROOT / "notebooks",
    readme: Annotated[Path, typer.Option(help="The file that shows the table.")] = ROOT / "README.md",
) -> None:
    """Measure all ten stages and write the course's table and picture. Needs wrk and two cores."""
    from labserver.capacity.arc import measure_stages, table, write
    from labserver.capacity.pictures import arc as drawn

    with alive(console, "Measuring") as report:
        steps = measure_stages(settings(), rounds, seconds, report)
    print(table(steps))
    write(steps, out / "arc.json", readme)
    drawn(steps).savefig(out / "arc.png")
    console.print(f"Wrote {out}/arc.json, {out}/arc.png and the table in {readme}.")


@app.command()
def capacity(
    lesson: Annotated[int, typer.Option(min=0, max=FINISHED_STAGE, help="The stage to measure.")] = FINISHED_STAGE,
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
    from labserver.capacity.measure import Run, check, measure_capacity
    from labserver.capacity.plan import Target, make_plan
    from labserver.capacity.report import text, to_json

    run = Run(lesson, workers, threads, _numbers("--levels", levels), seconds, rounds)
    target = Target(rate, p99, memory, price, spare, cores)
    check(run)
    with alive(console, "Measuring") as report:
        measured = measure_capacity(settings(), run, report)
    plan = make_plan(measured.worker, target)
    print(text(measured, target, plan))
    if json_file is not None:
        json_file.write_text(json.dumps(to_json(measured, target, plan), indent=1, allow_nan=False))
    if plot is not None:
        from labserver.capacity.pictures import draw

        console.print("Wrote " + ", ".join(str(path) for path in draw(measured, target, plot)))
    if not plan.met:
        raise typer.Exit(1)


@app.command()
def detect(
    faults: Annotated[list[str] | None, typer.Argument(help="Which faults; without any, all.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for detect.json, .md and .png; the home folder.")] = None,
) -> None:
    """Put faults into the inputs of 2013 and see when the monitor finds them. Takes some minutes."""
    from labserver.capacity.detection import detect as run
    from labserver.capacity.matrix import picture, table, to_json

    chosen = settings()
    with alive(console, "Detecting") as report:
        matrix = run(chosen, faults or [], report)
    text, folder = table(matrix), out or chosen.home
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detect.md").write_text(text + "\n")
    (folder / "detect.json").write_text(json.dumps(to_json(matrix), indent=1, allow_nan=False))
    picture(matrix).savefig(folder / "detect.png")
    console.print(f"Wrote detect.md, detect.json and detect.png in {folder}.")


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise LabError(f"{option} {text!r} is not a list such as 0,8,9.") from None
