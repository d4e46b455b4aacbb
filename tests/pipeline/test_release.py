"""Promotions, and what may happen to them: damage, a kill at any step, two operators, a registry that is behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from rewritten import added, rewrite
from services import own_home, running

from labserver.errors import Damaged, LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.finished import PARTS
from labserver.model.bundle import Bundle, load_bundle, shelf
from labserver.model.registry import KEPT, REGISTRY, Registry, read_registry
from labserver.parts import assemble
from labserver.pipeline.lineage import entry_of
from labserver.pipeline.release import LOCK, found, opened
from labserver.settings import Settings

Where = tuple[Settings, str, str, str]


@pytest.fixture
def three(bundle: Bundle, tmp_path: Path) -> Where:
    """A home with three bundles and a registry; the first is the champion."""
    chosen = Settings(home=tmp_path / "home", operator="ada")
    first = rewrite(chosen.bundle, bundle, note="a")[:16]
    second, third = (added(chosen.home, bundle, note=note) for note in "bc")
    with opened(chosen, lambda line: None):
        pass
    return chosen, first, second, third


def registry_of(chosen: Settings) -> Registry:
    registry = read_registry(chosen.home)
    assert registry
    return registry


def linked(chosen: Settings) -> str:
    return chosen.bundle.readlink().name


def test_a_promotion_and_a_way_back_move_the_link_and_are_written_down(three: Where) -> None:
    chosen, first, second, _ = three
    serial = registry_of(chosen).serial
    with opened(chosen, pytest.fail) as releases:
        assert releases.promote(second, "better on weekends", CATALOGUE)
    assert linked(chosen) == second
    with opened(chosen, pytest.fail) as releases:
        assert releases.rollback("worse on Mondays", CATALOGUE) == first
    registry = registry_of(chosen)
    assert (linked(chosen), registry.reign.champion, registry.reign.previous) == (first, first, second)
    assert registry.serial == serial + 2
    told = [(e.what, e.by, e.why, e.went, e.came) for e in registry.journal[-2:]]
    assert told == [
        ("promoted", "ada", "better on weekends", first, second),
        ("rolled back", "ada", "worse on Mondays", second, first),
    ]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", registry.journal[-1].at)
    with opened(chosen, pytest.fail) as releases:
        assert releases.rollback("on second thoughts", CATALOGUE) == second


def test_the_champion_cannot_be_promoted_again(three: Where) -> None:
    chosen, first, *_ = three
    before = registry_of(chosen)
    with opened(chosen, pytest.fail) as releases:
        assert not releases.promote(first, "again", CATALOGUE)
    assert registry_of(chosen) == before


def test_without_a_champion_before_there_is_no_way_back(three: Where) -> None:
    with opened(three[0], pytest.fail) as releases, pytest.raises(LabError, match="no champion before this one"):
        releases.rollback("", CATALOGUE)


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


REFUSED: dict[str, Callable[[Path], None]] = {
    r"model\.onnx was changed": flip,
    r"golden\.json is missing": lambda folder: (folder / "golden.json").unlink(),
    r"There is no bundle|is no longer on disk": shutil.rmtree,
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_damaged_bundle_is_refused_and_nothing_changes(three: Where, said: str) -> None:
    chosen, first, second, _ = three
    REFUSED[said](shelf(chosen.home) / second)
    with opened(chosen, lambda line: None) as releases:
        before = (chosen.home / REGISTRY).read_bytes()
        with pytest.raises(LabError, match=said):
            releases.promote(second, "", CATALOGUE)
    assert ((chosen.home / REGISTRY).read_bytes(), linked(chosen)) == (before, first)


def test_a_model_with_other_answers_is_refused(three: Where, bundle: Bundle) -> None:
    """Its hashes are right."""
    chosen, first, *_ = three
    panel = bundle.golden.shown()
    panel["probabilities"][7] += 0.01
    forged = added(chosen.home, bundle, {"golden.json": json.dumps(panel).encode()})
    with opened(chosen, lambda line: None) as releases, pytest.raises(Damaged, match="answers 1 of the 400 rows"):
        releases.promote(forged, "", CATALOGUE)
    assert (linked(chosen), registry_of(chosen).reign.champion) == (first, first)


def test_a_model_that_does_not_fit_this_catalogue_is_refused(three: Where) -> None:
    chosen, first, second, _ = three
    narrow = Catalogue(CATALOGUE.groups[1:])
    with opened(chosen, pytest.fail) as releases, pytest.raises(LabError, match="departure_hour, which the catalogue"):
        releases.promote(second, "", narrow)
    assert (linked(chosen), registry_of(chosen).reign.champion) == (first, first)


def test_a_snapshot_without_a_group_of_this_catalogue_is_refused(three: Where) -> None:
    from dataclasses import replace

    chosen, first, second, _ = three
    group = CATALOGUE.stored[-1]
    gust = replace(group.features[0], name="gust")
    wider = Catalogue((*CATALOGUE.groups, replace(group, name="gusts", features=(gust,))))
    with opened(chosen, pytest.fail) as releases, pytest.raises(LabError, match="has no values of gusts"):
        releases.promote(second, "", wider)
    assert linked(chosen) == first


def test_a_home_without_a_registry_gets_one_of_what_is_there(bundle: Bundle, tmp_path: Path) -> None:
    chosen, said = Settings(home=tmp_path), list[str]()
    first = rewrite(chosen.bundle, bundle, note="a")[:16]
    second = added(chosen.home, bundle, note="b")
    with opened(chosen, said.append) as releases:
        registry = releases.registry
    assert len(said) == 1
    assert "2 of the bundles that are there: added, without their lineage" in said[0]
    assert {entry.name for entry in registry.bundles} == {first, second}
    assert (registry.reign.champion, registry.named(first).auc) == (  # type: ignore[union-attr]
        first,
        bundle.manifest["metrics"]["model"]["auc"],
    )
    assert {entry.data_hash for entry in registry.bundles} == {"unknown"}
    with opened(chosen, pytest.fail) as releases:
        assert releases.registry == registry


def test_a_home_without_anything_has_an_empty_registry_and_no_file(tmp_path: Path) -> None:
    with opened(Settings(home=tmp_path), pytest.fail) as releases:
        assert releases.registry == Registry()
    assert not (tmp_path / REGISTRY).exists()


def test_the_registry_follows_a_link_that_was_moved_by_hand_and_says_so_once(three: Where) -> None:
    chosen, first, second, _ = three
    chosen.bundle.unlink()
    chosen.bundle.symlink_to(Path("bundles") / second)
    said: list[str] = []
    for _ in range(2):
        with opened(chosen, said.append) as releases:
            assert (releases.registry.reign.champion, releases.registry.reign.previous) == (second, first)
    assert len(said) == 1
    assert f"the registry named {first} and the link names {second}" in said[0]
    assert registry_of(chosen).journal[-1].what == "reconciled"


def test_a_home_that_links_to_a_bundle_elsewhere_has_that_champion(home: Path, tmp_path: Path) -> None:
    chosen = Settings(home=own_home(home, tmp_path / "own"))
    with opened(chosen, lambda line: None) as releases:
        entry = releases.registry.named(releases.registry.reign.champion)
    assert entry
    assert entry.name == load_bundle(home / "bundle").name


def test_a_bundle_that_is_a_folder_has_no_registry(home: Path, tmp_path: Path) -> None:
    shutil.copytree((home / "bundle").resolve(), tmp_path / "bundle")
    with pytest.raises(LabError, match="is a folder, as in an image"), opened(Settings(home=tmp_path), pytest.fail):
        pass


def test_champion_previous_and_the_newest_five_stay_on_disk(three: Where, bundle: Bundle) -> None:
    chosen, first, second, third = three
    with opened(chosen, pytest.fail) as releases:
        releases.promote(second, "", CATALOGUE)
    more = []
    for number in range(KEPT):
        more.append(added(chosen.home, bundle, note=str(number), built_at=f"2030-01-01T00:00:0{number}+00:00"))
        with opened(chosen, lambda line: None) as releases:
            releases.remove_old()
    assert {path.name for path in shelf(chosen.home).iterdir()} == {first, second, *more}
    registry = registry_of(chosen)
    entry = found(registry, third)
    assert (registry.role(entry), entry.on_disk) == ("removed", False)
    with opened(chosen, pytest.fail) as releases, pytest.raises(LabError, match=f"{third} is no longer on disk"):
        releases.promote(third, "", CATALOGUE)


def test_names_are_beginnings_of_four_digits_at_least(three: Where) -> None:
    chosen, first, second, third = three
    registry = registry_of(chosen)
    assert found(registry, second[:6]).name == found(registry, second.upper()).name == second
    with pytest.raises(LabError, match=f"'{first[:3]}' is too short: give at least 4 digits. There is .*{third}"):
        found(registry, first[:3])
    with pytest.raises(LabError, match=f"There is no bundle 0123456789. There is .*{first}"):
        found(registry, "0123456789")
    entry = registry.bundles[0]
    twin = entry_of({**load_bundle(chosen.bundle).manifest, "bundle_hash": entry.name[:8] + "0" * 56})
    with pytest.raises(LabError, match=f"{entry.name[:8]} is the beginning of 2: "):
        found(registry.registered(twin), entry.name[:8])


ACTING = """
import os, sys
from pathlib import Path
from labserver.features.definitions import CATALOGUE
from labserver.pipeline.release import opened
from labserver.settings import Settings

def act(home, name):
    with opened(Settings(home=home), lambda line: print(line, flush=True)) as releases:
        changed = releases.promote(name, "why " + name, CATALOGUE)
        releases.remove_old()
    return changed
"""

KILLED = (
    ACTING
    + """
import shutil, signal
home, name, places, steps = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), 0
WRITES = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod"}

def step(event, arguments):
    global steps
    opened_to_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if opened_to_write and str(arguments[0]).endswith("releases.json"):
        os._exit(7)  # a reader gets half of it meanwhile
    if (event in WRITES or opened_to_write) and str(copy) in str(arguments):
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1

for number in range(100):
    copy = places / str(number)
    shutil.copytree(home, copy, symlinks=True)
    child = os.fork()
    if child == 0:
        steps = number
        sys.addaudithook(step)
        act(copy, name)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended != -signal.SIGKILL:
        break
assert ended == 0, ended
print("steps", number, flush=True)
"""
)

TURNS = (
    ACTING
    + """
print("ready", flush=True)
sys.stdin.readline()
changes = sum(act(Path(sys.argv[1]), sys.argv[2 + number % 2]) for number in range(8))
print("changes", changes)
"""
)


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_a_promotion_killed_before_any_of_its_steps_leaves_a_home_that_serves(
    three: Where, bundle: Bundle, tmp_path: Path
) -> None:
    """Before each call that changes a file, a process of its own ends there by SIGKILL, in a copy of the home.

    The promotion removes two bundles too: that is part of it.
    """
    chosen, first, second, third = three
    more = [
        added(chosen.home, bundle, note=str(number), built_at=f"2030-01-01T00:00:0{number}+00:00")
        for number in range(KEPT + 1)
    ]
    with opened(chosen, lambda line: None):
        pass
    places = tmp_path / "killed"
    places.mkdir()
    process = run(KILLED, chosen.home, second, places)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    steps = int(printed.split("steps ")[-1])
    assert steps >= 10, printed
    serving = []
    for number in range(steps + 1):
        left = Settings(home=places / str(number))
        serving.append(load_bundle(left.bundle).name)
        assemble(PARTS, left)
        said: list[str] = []
        with opened(left, said.append) as releases:
            assert releases.registry.reign.champion == serving[-1]
            assert releases.registry.reign.previous == (first if serving[-1] == second else None)
            assert {entry.name for entry in releases.registry.bundles} == {first, second, third, *more}
            told = [e.why for e in releases.registry.journal if e.what == "promoted" and e.came == second]
            assert told or serving[-1] == first, "a bundle that serves has a reason"
        assert len(said) <= 1
        with opened(left, pytest.fail) as releases:
            releases.promote(second, "again", CATALOGUE)
            releases.remove_old()
        assert load_bundle(left.bundle).name == second
        assert {path.name for path in shelf(left.home).iterdir()} == {first, second, *more[1:]}
    assert sorted(set(serving), key=serving.index) == [first, second], "the old bundle, then the new one"


@pytest.mark.slow
def test_two_operators_at_once_lose_nothing(three: Where) -> None:
    chosen, first, second, third = three
    before = len(registry_of(chosen).journal)
    both = [run(TURNS, chosen.home, second, third), run(TURNS, chosen.home, third, second)]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    registry = registry_of(chosen)
    promoted = registry.journal[before:]
    assert all(event.what == "promoted" for event in promoted)
    assert len(promoted) == sum(int(lines.split("changes ")[-1]) for lines in printed) >= 8
    chain = [first, *(event.came for event in promoted)]
    assert [event.went for event in promoted] == chain[:-1], "each saw what the one before it did"
    assert linked(chosen) == registry.reign.champion == chain[-1]
    assert registry.serial == 1 + len(promoted)


@pytest.mark.slow
def test_the_second_operator_waits_and_is_told_so(three: Where) -> None:
    chosen, _, second, _ = three
    with FileLock(chosen.home / LOCK):
        process = run(ACTING + "act(Path(sys.argv[1]), sys.argv[2])", chosen.home, second)
        assert process.stdout
        assert "waiting: another command" in process.stdout.readline()
        assert process.poll() is None
    process.communicate(timeout=600)
    assert (process.returncode, linked(chosen)) == (0, second)


@pytest.mark.slow
def test_a_process_that_is_killed_holds_nothing(three: Where) -> None:
    chosen, _, second, _ = three
    holding = ACTING + (
        "import time\n"
        "with opened(Settings(home=Path(sys.argv[1])), print):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = run(holding, chosen.home)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with opened(chosen, pytest.fail) as releases:
        assert releases.promote(second, "", CATALOGUE)


@pytest.mark.slow
def test_a_service_that_starts_after_a_promotion_has_the_new_bundle_and_the_same_store(
    three: Where, home: Path
) -> None:
    chosen, first, second, _ = three
    own_home(home, chosen.home)
    with running(chosen.home) as service:
        old = service.get("/v1/model").json()["bundle_hash"]
        with opened(chosen, pytest.fail) as releases:
            releases.promote(second, "", CATALOGUE)
        assert service.get("/v1/model").json()["bundle_hash"] == old
    with running(chosen.home) as service:
        new = service.get("/v1/model").json()["bundle_hash"]
    assert (old[:16], new[:16]) == (first, second)
    assert len(list(chosen.state.glob("online-*.db"))) == 1


def labserver(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages of a command."""
    environment = os.environ | {"LABSERVER_HOME": str(home), "LABSERVER_OPERATOR": "grace"}
    command = [sys.executable, "-m", "labserver", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_commands_from_list_to_rollback(three: Where) -> None:
    chosen, first, second, _ = three
    code, shown, _ = labserver(chosen.home, "bundles", "list")
    head, *rows = shown.splitlines()
    assert (code, len(rows)) == (0, 3)
    assert head.split() == ["bundle", "built", "(UTC)", "model", "role", "AUC", "Brier", "why"]
    assert [row.split()[0] for row in rows if " champion " in row] == [first]
    assert all(re.search(r" 0\.7\d\d  0\.1\d\d\d ", row) for row in rows)
    code, shown, _ = labserver(chosen.home, "bundles", "promote", second[:5], "--why", "a test of the commands")
    assert (code, shown) == (0, f"Bundle {second} is now the champion.\n")
    code, shown, said = labserver(chosen.home, "bundles", "promote", "0000", "--why", "none")
    assert (code, shown) == (1, "")
    assert "error: There is no bundle 0000. There is" in said
    described = json.loads(labserver(chosen.home, "bundles", "list", "--json")[1])
    assert (described["champion"], described["previous"]) == (second, first)
    code, shown, _ = labserver(chosen.home, "bundles", "show", second)
    assert code == 0
    assert re.search(r"^ +role  champion$", shown, re.MULTILINE)
    assert re.search(r"^ +model  auc 0\.7", shown, re.MULTILINE)
    code, shown, _ = labserver(chosen.home, "bundles", "rollback", "--why", "back")
    assert (code, shown) == (0, f"Bundle {first} is the champion again.\n")
    assert registry_of(chosen).journal[-1].by == "grace"
