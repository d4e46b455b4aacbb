"""The command line: ``labserver build | serve | replay | clock | score | bundles | bench | arc | capacity``.

Only ``serve`` ships. The others are found by name where the rest of the course is installed. Imports are inside the
commands: ``serve`` must not load what only ``build`` needs.
"""

from __future__ import annotations

from labserver.interrupts import end_on_sigterm, one_line

if __name__ == "__main__":
    end_on_sigterm()  # before the other imports, which take a while

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from labserver.console import console, help_style, print_everywhere
from labserver.errors import LabError, naming_files
from labserver.settings import FINISHED_STAGE, Settings, settings

COMMANDS = ("labserver.commands.making", "labserver.commands.measuring", "labserver.commands.releasing")
COMMANDS_NOT_SHIPPED = ("build", "replay", "clock", "score", "bench", "arc", "capacity", "bundles", "keys")
"""Commands that need more than what ships."""
STAGES_MODULE = "labserver.stages.server"
"""The process of a teaching stage."""

app = typer.Typer(
    help="A flight-delay service, from raw flights to answers.",
    no_args_is_help=True,
    rich_markup_mode=help_style(),
    pretty_exceptions_enable=False,
)


@app.callback()
def labserver() -> None:
    """A flight-delay service, from raw flights to answers."""


@app.command()
def serve(
    lesson: Annotated[int | None, typer.Option(min=0, max=FINISHED_STAGE, help="The stage to run.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    unix_socket: Annotated[
        Path | None, typer.Option(help="Listen on a Unix socket instead, for this user only.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes; they share one page of metrics.")] = 1,
    parts: Annotated[Path | None, typer.Option(help="Your own parts: a Python file, or a folder of them.")] = None,
    fresh_store: Annotated[bool, typer.Option(help="Start with the bundle's snapshot of the online store.")] = False,
    anyone: Annotated[bool, typer.Option("--open", help="Serve a network without an API key.")] = False,
) -> None:
    """Start the service."""
    for name, value in (("LESSON", lesson), ("HOST", host), ("PORT", port), ("PARTS", parts)):
        if value is not None:
            os.environ[f"LABSERVER_{name}"] = str(value)
    from labserver.api.listening import address, bind_for
    from labserver.api.server import become, check_host, check_key

    chosen = settings()
    process = _process(chosen)
    check_host(chosen)
    bound = None if unix_socket else bind_for(chosen)  # first, so that a taken port harms nothing that runs
    if host is not None and not unix_socket and not anyone:
        check_key(chosen)
    if fresh_store:
        from labserver.features.store import copy_snapshot
        from labserver.model.signing import open_bundle

        bundle = open_bundle(chosen)
        copy_snapshot(bundle.snapshot, chosen.online_store(bundle.features_version))
    if bound and sys.stderr.isatty():
        console.print(f"Stage {chosen.lesson} answers at {address(bound)}/ once it is ready. Ctrl-C stops it.")
    become(process, workers, port=bound, unix_socket=unix_socket)


def _process(chosen: Settings) -> str:
    """The module of the serving process: that of the stages if they are installed, else the finished service's.

    Raises:
        LabError: if the stages are needed and not installed.
    """
    if _installed(STAGES_MODULE):
        return STAGES_MODULE
    if chosen.lesson != FINISHED_STAGE or chosen.parts:
        raise LabError("This installation holds only the finished service. Leave out --lesson and --parts.")
    return "labserver.server"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not installed
        return False


def _add_commands() -> None:
    """Add the commands of the rest of the course, or in their place one that explains their absence."""
    for module in filter(_installed, COMMANDS):
        app.add_typer(import_module(module).app)
    if not any(map(_installed, COMMANDS)):
        for name in COMMANDS_NOT_SHIPPED:
            app.command(name, hidden=True, context_settings={"ignore_unknown_options": True})(_absent)


def _absent(context: typer.Context, arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    raise LabError(
        f"`labserver {context.info_name}` is not in this installation, which only serves. Run it where the course is."
    )


_add_commands()


def main() -> None:
    """Run a command. What a person can fix is one line and exit code 1."""
    print_everywhere()
    with one_line():
        try:
            with naming_files():
                app()
        except LabError as error:
            console.print(f"error: {error}")
            sys.exit(1)


if __name__ == "__main__":
    main()
