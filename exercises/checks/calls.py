"""Lesson 8: finds work besides arithmetic in a predictor's call, and errors if a second call interrupts it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, TypeVar
from unittest.mock import patch

import onnxruntime
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

INTERRUPTIONS = 500

Result = TypeVar("Result")

DONE_IN_A_CALL = (
    ("model-read-per-call", "a file was opened or something was unpickled in the call"),
    ("session-per-call", "an ONNX Runtime session was made in the call"),
    ("dataframe-per-row", "a DataFrame was made in the call"),
    ("scikit-learn-per-call", "scikit-learn's model was asked in the call"),
    ("another-runtime", "ONNX Runtime was asked in the call"),
)
"""Mistake and what is said of it; of several, the first is named."""

_seen: set[str] | None = None
_hooked = False


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if _seen is not None and event in ("open", "pickle.find_class"):
        _seen.add("model-read-per-call")


@contextmanager
def watched() -> Iterator[set[str]]:
    """Notes which of :data:`DONE_IN_A_CALL` happen in the block."""
    global _seen, _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    seen: set[str] = set()
    watch = (
        (pd.DataFrame, "__init__", "dataframe-per-row"),
        (onnxruntime.InferenceSession, "__init__", "session-per-call"),
        (onnxruntime.InferenceSession, "run", "another-runtime"),
        (HistGradientBoostingClassifier, "_raw_predict", "scikit-learn-per-call"),
    )
    with ExitStack() as stack:
        for owner, name, mistake in watch:
            stack.enter_context(patch.object(owner, name, _noting(getattr(owner, name), seen, mistake)))
        _seen = seen
        try:
            yield seen
        finally:
            _seen = None


def _noting(function: Callable[..., Any], seen: set[str], mistake: str) -> Callable[..., Any]:
    def noted(*args: Any, **options: Any) -> Any:
        seen.add(mistake)
        return function(*args, **options)

    return noted


def interleaved(call: Callable[[], Result], other: Callable[[], object], file: Path) -> Result:
    """The result of ``call``, while ``other`` runs in another thread before each of the first lines of ``file``."""
    started: list[Thread] = []

    def between(frame: FrameType, event: str, arg: object) -> Any:
        blocked = bool(started) and started[-1].is_alive()  # by a lock: then nothing can come between
        if event == "line" and not blocked and len(started) < INTERRUPTIONS:
            started.append(Thread(target=other, daemon=True))
            started[-1].start()
            started[-1].join(1)
        return between

    sys.settrace(lambda frame, event, arg: between if frame.f_code.co_filename == str(file) else None)
    try:
        return call()
    finally:
        sys.settrace(None)
