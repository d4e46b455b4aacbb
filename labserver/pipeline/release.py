"""Changes of the registry: a bundle is registered, promoted, taken back, removed. One command at a time.

The order of a promotion is: verify the bundle, write the registry, replace the link. Each step is whole or has not
happened, so a process that is killed at any moment leaves a home that serves with the old bundle or with the new one.
The next command compares the registry with the link and makes them agree.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.finished import predictor
from labserver.model.bundle import ABANDONED, BUNDLE_NAME, MANIFEST, Bundle, activate, load_bundle, shelf
from labserver.model.registry import Entry, Event, Registry, What, read_registry, write_registry
from labserver.model.signing import check_signature
from labserver.parts import Context
from labserver.pipeline.lineage import entry_of, operator
from labserver.pipeline.locks import Report, held
from labserver.settings import Settings

FEWEST_DIGITS = 4
"""Of a bundle's name, as a command takes it."""
LOCK = "releases.lock"


@dataclass
class Releases:
    """The registry of a home while this process alone can change it. See :func:`opened`."""

    settings: Settings
    registry: Registry

    def event(self, what: What, why: str, came: str | None, went: str | None = None) -> Event:
        """Something that happens now, by who runs this command."""
        return Event(at=now(), what=what, by=operator(self.settings), why=why, came=came, went=went)

    def write(self, registry: Registry) -> None:
        """Take the registry over, on disk too."""
        write_registry(self.settings.home, registry)
        self.registry = registry

    def register(self, entry: Entry) -> None:
        """Add a bundle that was built."""
        built = self.event("built", entry.why, entry.name)
        self.write(self.registry.registered(entry).noted(built))

    def promote(self, name: str, why: str, catalogue: Catalogue, what: What = "promoted") -> bool:
        """Make a bundle the champion, and return whether it was another one before.

        Raises:
            LabError: if the bundle is not fit to serve; see :func:`verify`. Then nothing has changed.
        """
        before, entry = self.registry.reign.champion, self.registry.named(name)
        if entry is not None and not entry.on_disk:
            raise LabError(f"Bundle {name} is no longer on disk. `labserver bundles list` shows which ones are.")
        verify(self.settings, self._folder(name), catalogue)
        if name == before:
            return False
        event = self.event(what, why, name, before)
        self.write(self.registry.crowned(name, before).noted(event))
        activate(self.settings.bundle, name)
        return True

    def rollback(self, why: str, catalogue: Catalogue) -> str:
        """Make the previous champion the champion again, and return its name.

        Raises:
            LabError: if there is none, or it is not fit to serve. Then nothing has changed.
        """
        previous = self.registry.named(self.registry.reign.previous)
        if previous is None:
            raise LabError("There is no champion before this one. `labserver bundles promote NAME` takes any bundle.")
        self.promote(previous.name, why, catalogue, "rolled back")
        return previous.name

    def remove_old(self) -> None:
        """Remove the bundles that are too many: out of the way, then marked, then deleted."""
        old = [folder for entry in self.registry.to_remove() if (folder := self._folder(entry.name)).exists()]
        for folder in old:
            folder.rename(folder.with_name(f"{ABANDONED}{folder.name}"))
        if old:
            self.write(self.registry.with_on_disk(on_disk(self.settings.home)))
        for trash in shelf(self.settings.home).glob(f"{ABANDONED}*"):
            shutil.rmtree(trash, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        return shelf(self.settings.home) / name


@contextmanager
def opened(settings: Settings, report: Report) -> Iterator[Releases]:
    """The registry, which agrees with the link and the disk; another process that wants to change it waits.

    Args:
        settings: of the home folder.
        report: gets a line for whatever did not agree, and if this process has to wait.

    Raises:
        LabError: if the registry is not readable, or the bundle is a folder and no link, as in an image.
    """
    if settings.bundle.exists() and not settings.bundle.is_symlink():
        raise LabError(
            f"{settings.bundle} is a folder, as in an image, and not a link to one of several bundles: there is "
            "nothing to choose from. Use a home folder in which `labserver build` has run."
        )
    with held(settings.home / LOCK, report, "waiting: another command is changing the bundles of this folder"):
        releases = Releases(settings, read_registry(settings.home) or Registry())
        _reconcile(releases, report)
        yield releases


def verify(settings: Settings, folder: Path, catalogue: Catalogue) -> Bundle:
    """A bundle that this code can serve: whole, signed if a key asks for it, with a model that answers its golden panel
    and fits the catalogue.

    Raises:
        LabError: if it is not; says why.
    """
    bundle = load_bundle(folder)
    check_signature(bundle, settings)
    bundle.signature.places(catalogue)
    predictor(Context(settings, bundle, catalogue), None)
    _check_snapshot(bundle, catalogue)
    return bundle


def found(registry: Registry, name: str) -> Entry:
    """The bundle on disk whose name begins with ``name``.

    Raises:
        LabError: if there is none or more than one, it is no longer on disk, or ``name`` is too short.
    """
    there = ", ".join(entry.name for entry in registry.bundles if entry.on_disk) or "none"
    if len(name) < FEWEST_DIGITS:
        raise LabError(f"{name!r} is too short: give at least {FEWEST_DIGITS} digits. There is {there}.")
    named = [entry for entry in registry.bundles if entry.bundle_hash.startswith(name.lower())]
    if len(named) > 1:
        raise LabError(f"{name} is the beginning of {len(named)}: {', '.join(entry.name for entry in named)}.")
    if not named:
        raise LabError(f"There is no bundle {name}. There is {there}.")
    return named[0]


def on_disk(home: Path) -> set[str]:
    """Names of the bundles in a home folder."""
    folder = shelf(home)
    return {path.name for path in folder.iterdir() if BUNDLE_NAME.fullmatch(path.name)} if folder.exists() else set()


def now() -> str:
    """UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _reconcile(releases: Releases, report: Report) -> None:
    """Make the registry agree with the link and the disk, and say what did not."""
    settings, old = releases.settings, releases.registry
    linked, there = _linked(settings), on_disk(settings.home)
    new = old
    for entry in _unregistered(settings, old, there | ({linked} if linked else set())):
        new = new.registered(entry)
    added = len(new.bundles) - len(old.bundles)
    new = new.with_on_disk(there).agreed(linked)
    said = []
    if added:
        said.append(f"the registry did not have {added} of the bundles that are there: added, without their lineage")
    if (was := old.reign.champion) and was != linked:
        said.append(f"the registry named {was} and the link names {linked or 'none'}, which is what serves")
    if said:
        report("; ".join(said))
        new = new.noted(releases.event("reconciled", "; ".join(said), linked, was))
    if new != old:
        releases.write(new)


def _linked(settings: Settings) -> str | None:
    """Name of the bundle that the link names; None if there is none."""
    target = settings.bundle.resolve()
    if target.parent == shelf(settings.home).resolve() and target.exists():
        return target.name
    manifest = _manifest(target)  # of a home that links to a bundle elsewhere
    return str(manifest["bundle_hash"])[:16] if manifest else None


def _unregistered(settings: Settings, registry: Registry, names: set[str]) -> list[Entry]:
    """Bundles that the registry does not have: of a build that was killed, or of a home without a registry."""
    manifests = [
        _manifest(shelf(settings.home) / name) or _manifest(settings.bundle)
        for name in names
        if registry.named(name) is None
    ]
    entries = {entry.name: entry for entry in map(entry_of, filter(None, manifests))}
    unknown = [entry for name, entry in entries.items() if name in names and registry.named(name) is None]
    return sorted(unknown, key=lambda entry: (entry.built_at, entry.name))


def _manifest(folder: Path) -> Mapping[str, Any] | None:
    """A bundle's manifest, of whatever format; None if it is not readable."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        entry_of(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _check_snapshot(bundle: Bundle, catalogue: Catalogue) -> None:
    """A service looks up what the catalogue stores, whether or not the model wants it."""
    with closing(sqlite3.connect(f"{bundle.snapshot.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        try:
            versions = dict(db.execute("SELECT name, version FROM groups").fetchall())
        except sqlite3.Error as error:
            raise LabError(f"The snapshot of bundle {bundle.name} is not readable ({error}).") from None
    other = [group.name for group in catalogue.stored if versions.get(group.name) != group.version]
    if other:
        raise LabError(
            f"Bundle {bundle.name} has no values of {', '.join(other)} as this code's catalogue defines it. Run "
            "`labserver build`, or `labserver build --keep-model` to keep the champion's model."
        )
