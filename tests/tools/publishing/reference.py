"""The reference: the Python interface by pdoc; commands, settings and the HTTP interface as the code describes them."""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pdoc
import pdoc.render
import typer

import exercises.lab.cli
import labserver.cli
from labserver.running.process import scratch_home
from labserver.server import application
from labserver.settings import Settings, settings
from labserver.stages.own import parts_of
from publishing.cells import TEMPLATES, dark_code
from publishing.links import ROOT
from publishing.openapi import described

ELSEWHERE = ("labserver.capacity.locustfile", "labserver.capacity.mlserver_runtime")
"""Modules that other programs run: one patches the sockets of its importer, the other needs MLServer."""


def python(folder: Path) -> None:
    """Write a page for each module of the service into ``folder``, with a search that needs no network."""
    for name in ELSEWHERE:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    modules = sorted(file for file in (ROOT / "labserver").rglob("*.py") if (file.parent / "__init__.py").exists())
    names = [_module(file) for file in modules]
    pdoc.render.configure(docformat="google", template_directory=TEMPLATES / "reference", search=True)
    pdoc.render.env.globals["dark_code"] = dark_code(".pdoc-code")
    shown = [
        *(name for name in names if name not in ELSEWHERE),
        *(f"!{name}" for name in ELSEWHERE),
    ]
    with warnings.catch_warnings():
        # Of ELSEWHERE, and of types that are imported for type checkers only.
        warnings.simplefilter("ignore")
        pdoc.pdoc(*shown, output_directory=folder)
    for page in folder.rglob("*.html"):
        page.write_text(_without_dead_links(page.read_text(encoding="utf-8")), encoding="utf-8")


def pages() -> dict[str, str]:
    """File name to the Markdown of a page.

    Raises:
        LabError: if there is no usable bundle: the HTTP interface shows its features' ranges.
    """
    return {
        "index.html": INDEX,
        "settings.html": _settings(),
        "commands.html": "# Commands\n\n" + "\n".join([*_commands("labserver"), *_commands("lab")]),
        "http.html": described(_openapi()),
    }


INDEX = """# Reference

- [Python](labserver.html): every module of the service, with its source
- [HTTP](http.html): what the service answers, message by message
- [Commands](commands.html): `labserver` and `lab`
- [Settings](settings.html): what is read from the environment
"""

SETTINGS = "Everything is read from the environment when a process starts."

PROGRAMS = {"labserver": labserver.cli.app, "lab": exercises.lab.cli.app}


def _without_dead_links(page: str) -> str:
    """pdoc takes words of a docstring for members that a class inherits, and shows no such members."""
    known = set(re.findall(r'\bid="([^"]+)"', page))
    return re.sub(r'<a href="#([^"]+)">(.*?)</a>', lambda link: link[0 if link[1] in known else 2], page)


def _module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _settings() -> str:
    module = pdoc.doc.Module.from_name(Settings.__module__)
    lines = ["# Settings", "", SETTINGS, "", "| variable | default | meaning |", "|---|---|---|"]
    for name, declared in Settings.model_fields.items():
        default = "" if declared.default is None else f"`{declared.default}`"
        documented = module.get(f"{Settings.__name__}.{name}")
        meaning = documented.docstring if documented else ""
        lines.append(f"| `LABSERVER_{name.upper()}` | {default} | {_cell(meaning)} |")
    return "\n".join(lines)


def _commands(program: str) -> Iterator[str]:
    group: Any = typer.main.get_command(PROGRAMS[program])
    for name, command in group.commands.items():
        context = typer.Context(command)
        yield f"## {program} {name}\n\n{command.help}\n\n| argument or option | meaning |\n|---|---|"
        for parameter in command.params:
            usage, meaning = parameter.get_help_record(context) or (
                parameter.make_metavar(context),
                parameter.help,
            )
            yield f"| `{usage}` | {_cell(meaning or '')} |"
        yield ""


def _openapi() -> dict[str, Any]:
    """The description that the finished service gives of itself; its state goes into a folder that is thrown away."""
    with scratch_home(settings(), Path(tempfile.gettempdir())) as chosen:
        return application(chosen, parts_of(chosen)).openapi()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split()).replace("``", "`")
