"""The contents page: which part is in force at which lesson.

A part stays in force until a later line replaces it. Stage N is the service as it stands after lesson N.
"""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.parts import Parts
from labserver.settings import Settings

OWN = "labserver_own_"
"""Begins the name under which a learner's file is a module: ``labserver_own_lesson_03``."""


@dataclass(frozen=True, slots=True)
class Change:
    """From ``lesson`` on, ``part`` is made by ``factory``."""

    lesson: int
    part: str
    factory: str
    why: str


CHANGES = (
    Change(0, "catalogue", "labserver.shipped:catalogue", "features are defined once, apart from the model"),
    Change(0, "drain", "labserver.naive.server:drain", "SIGTERM cuts off whoever is being answered"),
    Change(1, "drain", "labserver.api.lifecycle:drain", "not ready, then no new requests, then the end"),
    Change(0, "horizon", "labserver.naive.features:horizon", "the latest value the warehouse holds, even a future one"),
    Change(2, "horizon", "labserver.shipped:horizon", "the value known when the question was put"),
    Change(0, "completion", "labserver.naive.features:completion", "a gap becomes 0"),
    Change(3, "completion", "labserver.shipped:completion", "a gap becomes the training median; no gap is left"),
    Change(0, "ranges", "labserver.naive.features:ranges", "any number will do"),
    Change(
        4,
        "ranges",
        "labserver.shipped:ranges",
        "impossible values are refused or replaced, unseen ones clipped",
    ),
    Change(0, "service", "labserver.naive.handler:service", "one handler does it all, anew for each flight"),
    Change(5, "service", "labserver.shipped:service", "a service without HTTP; aggregates are looked up"),
    Change(0, "decision", "labserver.naive.handler:decision", "warn above one half, a rule written into the handler"),
    Change(5, "decision", "labserver.shipped:decision", "warn where silence is expected to cost more"),
    Change(0, "loader", "labserver.naive.loading:loader", "files are read without a look at their hashes"),
    Change(6, "loader", "labserver.model.bundle:load_bundle", "every byte is verified before anything is loaded"),
    Change(0, "threads", "labserver.naive.server:threads", "as many threads as the machine has cores"),
    Change(7, "threads", "labserver.shipped:threads", "as many threads as pay off"),
    Change(0, "admission", "labserver.naive.server:admission", "everyone is let in, and everyone waits"),
    Change(7, "admission", "labserver.api.admission:admission", "above the limit a request is refused at once"),
    Change(0, "predictor", "labserver.naive.loading:unpickle_per_request", "the model is unpickled for each request"),
    Change(6, "predictor", "labserver.naive.loading:unpickle_at_start", "loaded once; still a DataFrame for each row"),
    Change(8, "predictor", "labserver.shipped:predictor", "ONNX Runtime on one float32 row"),
    Change(0, "inline", "labserver.naive.server:inline", "each request goes through the framework and a thread pool"),
    Change(8, "inline", "labserver.shipped:inline", "each request is answered on the event loop"),
    Change(0, "drift", "labserver.naive.watching:drift", "whatever comes in is taken for what training knew"),
    Change(9, "drift", "labserver.shipped:drift", "days are compared with training; a fault is told from a season"),
    Change(0, "monitor", "labserver.naive.watching:monitor", "nobody looks: 200 is all that is known of an answer"),
    Change(9, "monitor", "labserver.shipped:monitor", "inputs, answers and outcomes are counted, logged and judged"),
)


def in_force(lesson: int) -> dict[str, str]:
    """Part to factory, for a stage."""
    return {change.part: change.factory for change in CHANGES if change.lesson <= lesson}


def stage(lesson: int, own: Mapping[str, Any] | None = None) -> Parts:
    """The parts of a stage, some replaced by a learner's own.

    Raises:
        LabError: if ``own`` names a part that does not exist.
    """
    known = {field.name for field in fields(Parts)}
    for name in own or {}:
        if name not in known:
            raise LabError(f"There is no part {name}. Parts are: {', '.join(sorted(known))}.")
    factories = {part: pkgutil.resolve_name(factory) for part, factory in in_force(lesson).items()}
    return Parts(**{**factories, **(own or {})})


def own_parts(path: Path) -> dict[str, Any]:
    """The parts that a file, or each ``lesson_*.py`` of a folder, defines as functions of their names.

    Several lessons add to the catalogue: a ``catalogue`` that takes a second argument gets the one before it.

    Raises:
        LabError: if the path does not exist, a file does not run, or no part is found; names file and line.
    """
    files = sorted(path.glob("lesson_*.py")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise LabError(f"There are no parts at {path}. Give a Python file, or a folder with lesson_*.py files.")
    found: dict[str, Any] = {}
    names = {field.name for field in fields(Parts)}
    for file in files:
        module = _run(file)
        for name, value in _public(module):
            if name in names:
                found[name] = _after(found, value) if name == "catalogue" else value
    if not found:
        raise LabError(f"{path} defines no part. Define one of: {', '.join(sorted(names))}.")
    return found


def _after(found: Mapping[str, Any], own: Callable[..., Catalogue]) -> Callable[[Settings], Catalogue]:
    """A catalogue upon the one of the lesson before, or else the shipped one."""
    if len(inspect.signature(own).parameters) < 2:
        return own
    before = found.get("catalogue") or pkgutil.resolve_name(in_force(0)["catalogue"])
    return lambda settings: own(settings, before(settings))


def _run(file: Path) -> ModuleType:
    name = OWN + file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LabError(f"{file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else None
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == str(file):  # the learner's own line, not the library's that it called
                line = number
        what = " ".join(str(error).split())
        raise LabError(f"{file} does not run: line {line or 0}: {type(error).__name__}: {what}") from error
    return module


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Names that the module itself defines: an imported function is not a learner's part."""
    for name, value in vars(module).items():
        if callable(value) and getattr(value, "__module__", None) == module.__name__:
            yield name, value
