"""A learner's own parts: from a file, or from the ``lesson_*.py`` files of a folder."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.parts import Parts
from labserver.settings import FINISHED_STAGE, Settings
from labserver.stages.contents import active, parts_of_stage

OWN_MODULE_PREFIX = "labserver_own_"
"""Begins the name under which a learner's file is a module: ``labserver_own_lesson_03``."""


def parts_of(settings: Settings, lesson: int = FINISHED_STAGE) -> Parts:
    """The parts of a stage, with those among them that the settings name.

    Raises:
        LabError: see :func:`own_parts`.
    """
    return parts_of_stage(lesson, used_parts(settings, lesson))


def used_parts(settings: Settings, lesson: int) -> dict[str, Any]:
    """The own parts that a stage uses. Of a folder with the parts of all lessons, the others are left out.

    Raises:
        LabError: see :func:`own_parts`.
    """
    if settings.parts is None:
        return {}
    own, known = own_parts(settings.parts), active(lesson)
    return {name: part for name, part in own.items() if name in known} if settings.parts.is_dir() else own


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
    before = found.get("catalogue") or pkgutil.resolve_name(active(0)["catalogue"])
    return lambda settings: own(settings, before(settings))


def _run(file: Path) -> ModuleType:
    name = OWN_MODULE_PREFIX + file.stem
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
        # A SyntaxError's text repeats the file and the line.
        what = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
        raise LabError(f"{file} does not run: line {line or 0}: {type(error).__name__}: {what}") from error
    return module


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Names that the module itself defines: an imported function is not a learner's part."""
    for name, value in vars(module).items():
        if callable(value) and getattr(value, "__module__", None) == module.__name__:
            yield name, value
