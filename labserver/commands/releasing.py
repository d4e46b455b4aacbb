"""``labserver bundles | keys``: which bundles there are, which one serves, and the keys that sign them.

Imports are inside the commands: showing the help loads none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labserver.console import console
from labserver.settings import settings

if TYPE_CHECKING:
    from labserver.features.catalogue import Catalogue
    from labserver.model.registry import Entry, Registry
    from labserver.settings import Settings

app = typer.Typer()
bundles = typer.Typer(help="List the bundles of this home folder; promote one, or go back.", no_args_is_help=True)
app.add_typer(bundles, name="bundles")
keys = typer.Typer(help="Make keys that sign bundles.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The first digits of a bundle's hash, four at least.")]
Why = Annotated[str, typer.Option(help="The reason. It is kept in the registry.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

COLUMNS = ("bundle", "built (UTC)", "model", "role", "AUC", "Brier", "why")


@bundles.command("list")
def list_bundles(as_json: Json = False) -> None:
    """List all bundles, the newest first, with their role and their scores on the held-out flights."""
    from labserver.pipeline.release import opened

    with opened(settings(), _say) as releases:
        registry = releases.registry
    if as_json:
        print(json.dumps(_described(registry), indent=1))
    elif registry.bundles:
        print(_table([COLUMNS, *(_row(registry, entry) for entry in reversed(registry.bundles))]))
    else:
        print("There are no bundles. Run `labserver build`.")


@bundles.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show where a bundle comes from, and how good its model is."""
    from labserver.model.bundle import load_bundle, shelf
    from labserver.pipeline.release import found, opened

    chosen = settings()
    with opened(chosen, _say) as releases:
        registry = releases.registry
        entry = found(registry, name)
    folder = shelf(chosen.home) / entry.name
    facts = _facts(registry, entry) | {"metrics": load_bundle(folder).manifest["metrics"] if entry.on_disk else None}
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for key, value in facts.items():
        if key not in {"metrics", "served", "on_disk"}:  # the role says as much
            print(f"{key.replace('_', ' '):>19}  {_text(value)}")
    for model, scores in (facts["metrics"] or {}).items():
        if isinstance(scores, Mapping) and "auc" in scores:
            print(
                f"{model.replace('_', ' '):>17}  " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in scores.items())
            )


@bundles.command()
def promote(name: Name, why: Why) -> None:
    """Verify a bundle and make it the champion: services that start from now on load it."""
    from labserver.pipeline.release import found, opened

    chosen = settings()
    with opened(chosen, _say) as releases:
        entry = found(releases.registry, name)
        changed = releases.promote(entry.name, why, _catalogue(chosen))
        releases.remove_old()
    print(f"Bundle {entry.name} is {'now the champion' if changed else 'the champion already'}.")


@bundles.command()
def rollback(why: Why) -> None:
    """Verify the champion before this one and make it the champion again."""
    from labserver.pipeline.release import opened

    chosen = settings()
    with opened(chosen, _say) as releases:
        name = releases.rollback(why, _catalogue(chosen))
    print(f"Bundle {name} is the champion again.")


@keys.callback()
def _group() -> None:
    """Make keys that sign bundles."""


@keys.command("new")
def new_keys(folder: Annotated[Path, typer.Argument(help="Where the two files go. Neither may be there.")]) -> None:
    """Make a pair of Ed25519 keys: a private one that signs, and a public one that verifies."""
    from labserver.pipeline.signing import new_keys as run

    private, public, name = run(folder)
    print(f"Key {name}. Keep {private} secret, and build with LABSERVER_SIGNING_KEY={private}.")
    print(f"Serve with LABSERVER_PUBLIC_KEY={public}: a bundle that this key has not signed is then refused.")


def _catalogue(chosen: Settings) -> Catalogue:
    from labserver.stages.own import parts_of

    return parts_of(chosen).catalogue(chosen)


def _say(line: str) -> None:
    console.print(f"note: {line}")


def _facts(registry: Registry, entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "role": registry.role(entry), **asdict(entry)}


def _described(registry: Registry) -> dict[str, Any]:
    return {
        "format": registry.format,
        "serial": registry.serial,
        "champion": registry.reign.champion,
        "previous": registry.reign.previous,
        "bundles": [_facts(registry, entry) for entry in reversed(registry.bundles)],
    }


def _row(registry: Registry, entry: Entry) -> tuple[str, ...]:
    scores = ("-" if entry.auc is None else f"{entry.auc:.3f}", "-" if entry.brier is None else f"{entry.brier:.4f}")
    built = entry.built_at[:16].replace("T", " ")
    return (entry.name, built, entry.model_version, registry.role(entry), *scores, _text(entry.why))


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def _text(value: object) -> str:
    """In one line, and a dash for nothing. What a terminal would obey is left out."""
    printable = "".join(c if c.isprintable() else " " for c in str(value))
    return "-" if value in (None, "") else " ".join(printable.split())
