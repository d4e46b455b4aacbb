"""The registry of a home folder: which bundles there are, where each came from, and which one serves.

It is one file, ``releases.json``, beside the link ``bundle``. The link is what a service loads. A change of champion
writes the registry first and replaces the link last, so the link says whether the change took place: see
:meth:`Registry.agreed`. Commands that change it are in ``labserver.pipeline.release``; an image has a bundle and no
registry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from labserver.errors import Damaged
from labserver.writing import write_whole

REGISTRY_FORMAT = 1
REGISTRY = "releases.json"
EVENTS = 200
"""Newest events of the journal that are kept."""
KEPT = 5
"""Bundles on disk beside champion and previous champion: the newest."""
REMOVED = 100
"""Newest entries of bundles that are no longer on disk."""

What = Literal["built", "promoted", "rolled back", "reconciled"]
Role = Literal["champion", "previous", "candidate", "retired", "removed"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A bundle and its lineage.

    Attributes:
        bundle_hash: 64 hex digits; the first 16 name its folder.
        model_version: 12 hex digits of the ONNX file's hash.
        features_version: 12 hex digits of the catalogue's.
        package_version: of labserver.
        revision: git's, with ``-dirty`` if files differed from it; "unknown" where there is none.
        data_hash: SHA-256 of the source files; "unknown" if the bundle was found and not registered by its build.
        built_at: UTC, ISO 8601.
        built_by: who ran the build.
        why: the build's reason; may be empty.
        auc: on the held-out flights; None if the manifest does not say.
        brier: the same.
        served: whether it was the champion once and is not now.
        on_disk: whether its folder is kept.
    """

    bundle_hash: str
    model_version: str
    features_version: str
    package_version: str = "unknown"
    revision: str = "unknown"
    data_hash: str = "unknown"
    built_at: str
    built_by: str = "unknown"
    why: str = ""
    auc: float | None = None
    brier: float | None = None
    served: bool = False
    on_disk: bool = True

    @property
    def name(self) -> str:
        """The first 16 digits of its hash."""
        return self.bundle_hash[:16]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to the bundles of a home.

    Attributes:
        at: UTC, ISO 8601.
        what: the kind of event.
        by: who did it.
        why: the reason that was given; may be empty.
        came: name of the bundle that came to be champion, or was built. In JSON ``to``.
        went: name of the champion before; None where it changed nothing. In JSON ``from``.
    """

    at: str
    what: What
    by: str
    why: str
    came: Annotated[str | None, Field(alias="to")]
    went: Annotated[str | None, Field(alias="from")] = None


@dataclass(frozen=True)
class Reign:
    """Champion and previous champion, by name."""

    champion: str | None = None
    previous: str | None = None


@dataclass(frozen=True, kw_only=True)
class Registry:
    """All of the file. Immutable: a change makes a new one.

    Attributes:
        format: of the file.
        serial: raised by each change of champion, so that a reader notices one.
        reign: champion and previous champion.
        before: the same before the last change; holds if that change did not reach the link.
        bundles: in order of their last build, the newest last.
        journal: the newest events, the newest last.
    """

    format: int = REGISTRY_FORMAT
    serial: int = 0
    reign: Reign = field(default_factory=Reign)
    before: Reign = field(default_factory=Reign)
    bundles: tuple[Entry, ...] = ()
    journal: tuple[Event, ...] = ()

    def named(self, name: str | None) -> Entry | None:
        """The entry of that name."""
        return next((entry for entry in self.bundles if entry.name == name), None)

    def role(self, entry: Entry) -> Role:
        """What a bundle is for."""
        if entry.name == self.reign.champion:
            return "champion"
        if not entry.on_disk:
            return "removed"
        if entry.name == self.reign.previous:
            return "previous"
        return "retired" if entry.served else "candidate"

    def noted(self, *events: Event) -> Registry:
        """With these events, and without those that are too many."""
        return replace(self, journal=(*self.journal, *events)[-EVENTS:])

    def registered(self, entry: Entry) -> Registry:
        """With this bundle as the newest. If it was there already, its lineage is that of its last build."""
        known = self.named(entry.name)
        entry = replace(entry, served=known.served) if known else entry
        others = (other for other in self.bundles if other.name != entry.name)
        return replace(self, bundles=(*others, entry))

    def crowned(self, name: str | None, previous: str | None) -> Registry:
        """With another champion."""
        bundles = tuple(replace(e, served=True) if e.name == self.reign.champion else e for e in self.bundles)
        reign = Reign(name, previous)
        return replace(self, serial=self.serial + 1, before=self.reign, reign=reign, bundles=bundles)

    def agreed(self, link: str | None) -> Registry:
        """With the champion that the link names, which is the one that serves.

        The last change did not reach the link if that names the champion before it; then the change is undone.
        """
        if link == self.reign.champion:
            return self
        if link == self.before.champion:
            return replace(self, serial=self.serial + 1, reign=self.before)
        return self.crowned(link, self.reign.champion)

    def to_remove(self) -> tuple[Entry, ...]:
        """Bundles on disk that are too many."""
        reigning = {self.reign.champion, self.reign.previous}
        others = [entry for entry in self.bundles if entry.on_disk and entry.name not in reigning]
        return tuple(others[:-KEPT])

    def with_on_disk(self, names: Iterable[str]) -> Registry:
        """With exactly these marked as on disk, and without the oldest entries of others."""
        there = set(names)
        marked = [replace(entry, on_disk=entry.name in there) for entry in self.bundles]
        gone = [entry for entry in marked if not entry.on_disk and entry.name != self.reign.champion]
        forgotten = {entry.name for entry in gone[:-REMOVED]}
        return replace(self, bundles=tuple(entry for entry in marked if entry.name not in forgotten))


_REGISTRY = TypeAdapter(Registry)


def read_registry(home: Path) -> Registry | None:
    """The registry of a home folder, or None if it has none.

    Raises:
        Damaged: if it is not readable, or of another format.
    """
    path = home / REGISTRY
    try:
        registry = _REGISTRY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise Damaged(
            f"The registry {path} is not readable ({reason}). Put a copy of it back, or delete it: `labserver bundles "
            "list` then makes one of the bundles that are there, which does not know where they came from."
        ) from None
    if registry.format != REGISTRY_FORMAT:
        raise Damaged(
            f"The registry {path} has format {registry.format}, this code reads {REGISTRY_FORMAT}. Use the version of "
            "labserver that wrote it."
        )
    return registry


def write_registry(home: Path, registry: Registry) -> None:
    """Write the registry whole or not at all, and wait until it is on disk."""
    content = _REGISTRY.dump_json(registry, by_alias=True, indent=1)
    write_whole(home / REGISTRY, content + b"\n", durable=True)
