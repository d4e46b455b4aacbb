"""``labserver build | replay | clock | score``: what needs the pipeline.

Imports are inside the commands: showing the help loads none of them.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from labserver.console import console
from labserver.errors import LabError
from labserver.running.signs import alive
from labserver.settings import settings

app = typer.Typer()


@app.command()
def build(
    if_needed: Annotated[bool, typer.Option(help="Do nothing if a whole bundle of this code is there.")] = False,
    parts: Annotated[Path | None, typer.Option(help="Parts with a catalogue of your own: a file or a folder.")] = None,
    keep_model: Annotated[
        bool, typer.Option(help="Keep the bundle's model, and make the features anew: one was added to the catalogue.")
    ] = False,
    candidate: Annotated[
        bool, typer.Option(help="Only add the bundle: it serves once `labserver bundles promote` names it.")
    ] = False,
    why: Annotated[str, typer.Option(help="The reason, for `labserver bundles list`.")] = "",
) -> None:
    """Make the warehouse, the features, the model and the bundle, and promote it. Takes seconds."""
    if parts is not None:
        os.environ["LABSERVER_PARTS"] = str(parts)
    from labserver.stages.own import parts_of

    chosen = settings()
    catalogue = parts_of(chosen).catalogue(chosen)
    from labserver.pipeline.freshness import is_current

    def current() -> bool:
        return if_needed and is_current(chosen, catalogue)

    if current():
        console.print(f"The bundle at {chosen.bundle} is current.")
        return
    with alive(console, "Building") as report:
        from labserver.pipeline.build import build as run
        from labserver.pipeline.build import one_at_a_time

        with one_at_a_time(chosen.home, report):
            if current():  # the build that this one waited for has made it
                return
            built = run(chosen, catalogue, report, keep_model=keep_model, candidate=candidate, why=why)
    for name, scores in built.metrics.items():
        console.print(
            f"  {name.replace('_', ' '):>19}: AUC {scores['auc']:.3f}, log loss {scores['log_loss']:.3f}, "
            f"Brier {scores['brier']:.3f}, calibration {scores['calibration_error']:.3f}",
        )
    name, seconds = built.bundle_hash[:16], sum(built.seconds.values())
    state = "is active" if built.active else f"is a candidate: `labserver bundles promote {name[:6]} --why TEXT`"
    console.print(f"Bundle {name} {state} ({seconds:.1f} s).")


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="First day, as YYYY-MM-DD.")] = "2013-09-01",
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days.")] = 1,
    speed: Annotated[
        float, typer.Option(min=0, help="Simulated seconds per real second; 0 means as fast as possible.")
    ] = 0,
    outcomes: Annotated[bool, typer.Option(help="Send outcomes when flights land.")] = True,
    sample: Annotated[
        float, typer.Option(min=0, max=1, help="Share of flights whose vector is compared with training's.")
    ] = 1.0,
    every: Annotated[int, typer.Option(min=1, max=1000, help="Ask about every Nth flight only.")] = 1,
    incident: Annotated[str | None, typer.Option(help="Publish a mistake, such as visibility-km.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The live service; if left out, LABSERVER_URL or the one of `lab start`.")
    ] = None,
) -> None:
    """Send real flights through the live service in time order, and compare each vector with training's."""
    from labserver.pipeline.incidents import incident as named
    from labserver.pipeline.replay import replay as run
    from labserver.running.announcement import service_address
    from labserver.stages.own import parts_of

    first = _day(start)
    chosen = settings()
    mistake = named(incident) if incident else None
    catalogue = parts_of(chosen).catalogue(chosen)
    address = url or service_address(chosen)
    summary = run(
        chosen,
        address,
        first,
        days,
        speed,
        outcomes,
        console,
        sample=sample,
        every=every,
        incident=mistake,
        catalogue=catalogue,
    )
    console.print(summary.text())
    if summary.mismatches:
        raise typer.Exit(1)


@app.command()
def clock(
    moment: Annotated[
        str | None, typer.Argument(help="Where to set it, such as 2013-09-01.", show_default=False)
    ] = None,
) -> None:
    """Show the clock of the simulated world, or set it, back too. A running service follows at once."""
    from labserver.pipeline.clock import move, parse, read
    from labserver.stages.own import parts_of

    chosen = settings()
    catalogue = parts_of(chosen).catalogue(chosen)
    if moment is not None:
        wanted = parse(moment)
        with alive(console, "Setting the clock"):
            move(chosen, catalogue, wanted)
    now = read(chosen, catalogue)
    print(f"The clock is at {now:%Y-%m-%d %H:%M} in New York. The service answers about flights after it.")


@app.command()
def score(
    out: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet.")],
    month: Annotated[str | None, typer.Option(help="A month of 2013, as YYYY-MM, or 2013 for the year.")] = None,
    flights: Annotated[Path | None, typer.Option(help="A file of flights: .csv or .parquet.")] = None,
) -> None:
    """Score a month, or a file of flights, with the same service object that answers HTTP."""
    from labserver.pipeline.score import score as run
    from labserver.stages.own import parts_of

    chosen = settings()
    with alive(console, "Scoring"):
        summary = run(chosen, month, flights, out, parts_of(chosen))
    console.print(summary.text())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LabError(f"--from {text!r} is not a day. Write it as 2013-09-01.") from None
