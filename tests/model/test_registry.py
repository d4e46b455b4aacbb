"""The registry as a value: its champion, its roles, its bounds and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labserver.errors import Damaged
from labserver.model.registry import (
    EVENTS,
    KEPT,
    REGISTRY,
    REMOVED,
    Entry,
    Event,
    Registry,
    Reign,
    read_registry,
    write_registry,
)


def entry(number: int, **changes: Any) -> Entry:
    return Entry(
        bundle_hash=f"{number:064x}"[::-1],
        model_version=f"{number:012x}",
        features_version="f" * 12,
        built_at=f"2026-01-01T00:00:{number % 60:02}+00:00",
        **changes,
    )


A, B, C = entry(1), entry(2), entry(3)


def event(number: int = 0) -> Event:
    return Event(at="2026-01-01T00:00:00+00:00", what="promoted", by="me", why=f"reason {number}", came="b", went="a")


@pytest.fixture
def registry() -> Registry:
    """B reigns, A did before, C never did."""
    empty = Registry().registered(A).registered(B).registered(C)
    return empty.crowned(A.name, None).crowned(B.name, A.name)


def test_a_registry_comes_back_from_its_file_as_it_was(tmp_path: Path, registry: Registry) -> None:
    assert read_registry(tmp_path) is None
    whole = registry.noted(event())
    write_registry(tmp_path, whole)
    assert read_registry(tmp_path) == whole
    written = json.loads((tmp_path / REGISTRY).read_bytes())
    assert (written["format"], written["serial"]) == (1, 2)
    assert {"from": "a", "to": "b", "why": "reason 0", "by": "me"}.items() <= written["journal"][0].items()
    assert [path.name for path in tmp_path.iterdir()] == [REGISTRY]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"serial": "many"}', b'{"bundles": [{}]}', b"\xff"])
def test_a_registry_that_is_none_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / REGISTRY).write_bytes(content)
    with pytest.raises(Damaged, match=r"is not readable .*delete it: `labserver bundles list` then makes one"):
        read_registry(tmp_path)


def test_a_registry_of_a_later_version_is_not_read(tmp_path: Path) -> None:
    (tmp_path / REGISTRY).write_text('{"format": 2}')
    with pytest.raises(Damaged, match="has format 2, this code reads 1"):
        read_registry(tmp_path)


def test_each_bundle_has_one_role(registry: Registry) -> None:
    assert [registry.role(found) for found in registry.bundles] == ["previous", "champion", "candidate"]
    later = registry.crowned(C.name, B.name)
    assert [later.role(found) for found in later.bundles] == ["retired", "previous", "champion"]
    gone = later.with_on_disk({B.name, C.name})
    assert [gone.role(found) for found in gone.bundles] == ["removed", "previous", "champion"]


def test_a_change_of_champion_raises_the_serial_and_remembers_the_state_before(registry: Registry) -> None:
    later = registry.crowned(C.name, B.name)
    assert (registry.serial, later.serial) == (2, 3)
    assert (later.reign, later.before) == (Reign(C.name, B.name), Reign(B.name, A.name))


def test_a_change_that_did_not_reach_the_link_is_undone(registry: Registry) -> None:
    later = registry.crowned(C.name, B.name)
    agreed = later.agreed(B.name)
    assert agreed.reign == registry.reign
    assert agreed.serial == later.serial + 1, "a reader of the change must notice"
    assert agreed.role(agreed.bundles[2]) == "candidate", "it never served"
    assert later.agreed(C.name) is later


def test_a_link_that_somebody_moved_names_the_champion(registry: Registry) -> None:
    agreed = registry.agreed(C.name)
    assert (agreed.reign, agreed.serial) == (Reign(C.name, B.name), 3)
    assert registry.agreed(None).reign == Reign(None, B.name)


def test_a_bundle_that_is_built_again_is_the_newest_and_keeps_its_role(registry: Registry) -> None:
    again = registry.registered(entry(1, why="again"))
    assert [found.name for found in again.bundles] == [B.name, C.name, A.name]
    assert (again.bundles[-1].why, again.bundles[-1].served) == ("again", True)


def test_the_newest_others_stay_and_neither_champion_nor_previous_is_ever_too_many() -> None:
    registry = Registry()
    entries = [entry(number) for number in range(1, 12)]
    for one in entries:
        registry = registry.registered(one)
    registry = registry.crowned(entries[0].name, None).crowned(entries[1].name, entries[0].name)
    removed = [found.name for found in registry.to_remove()]
    assert removed == [one.name for one in entries[2:-KEPT]]
    after = registry.with_on_disk({found.name for found in registry.bundles} - set(removed))
    assert after.to_remove() == ()
    assert len([found for found in after.bundles if found.on_disk]) == 2 + KEPT


def test_journal_and_removed_bundles_are_bounded(registry: Registry) -> None:
    for number in range(EVENTS + 7):
        registry = registry.noted(event(number))
    assert [found.why for found in registry.journal] == [f"reason {n}" for n in range(7, EVENTS + 7)]
    for number in range(10, 10 + REMOVED + 7):
        registry = registry.registered(entry(number))
    bounded = registry.with_on_disk({A.name})
    assert len(bounded.bundles) == REMOVED + 2
    assert bounded.named(B.name), "the champion, wherever it is"
    assert bounded.named(C.name) is None
    assert bounded.named(entry(10 + REMOVED + 6).name)
