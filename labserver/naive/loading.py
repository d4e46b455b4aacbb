"""Bundle and model before lessons 6 and 8: believed, unpickled, fed with DataFrames."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from labserver.errors import Damaged
from labserver.model.bundle import Bundle
from labserver.parts import Context


def loader(path: Path) -> Bundle:
    """Before lesson 6: whatever lies in the folder is believed."""
    try:
        content = {name: json.loads((path / f"{name}.json").read_bytes()) for name in TRUSTED}
        return Bundle(path=path.resolve(), model=(path / "model.onnx").read_bytes(), **content)
    except (OSError, ValueError):
        raise Damaged(f"There is no readable bundle at {path}. Run `labserver build`.") from None


TRUSTED = ("manifest", "catalogue", "reference", "vocabulary")


class UnpickledPerRequest:
    """Before lesson 6: the file is read, and whatever it contains is run, for every single request."""

    def __init__(self, path: Path, names: Sequence[str], threads: int | None) -> None:
        self._path, self._names, self._threads = path, names, threads

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        model = pickle.loads(self._path.read_bytes())  # noqa: S301  (the lesson)
        return OneRowFrames(model, self._names, self._threads).probabilities(matrix)


class OneRowFrames:
    """Before lesson 8: a DataFrame for each call, and a library made for training."""

    def __init__(self, model: Any, names: Sequence[str], threads: int | None) -> None:
        self._model, self._names, self._threads = model, list(names), threads

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        frame = pd.DataFrame(matrix, columns=self._names)
        with threadpool_limits(self._threads):
            column: NDArray[np.float32] = self._model.predict_proba(frame.to_numpy())[:, 1].astype(np.float32)
        return column


def unpickle_per_request(context: Context, threads: int | None) -> UnpickledPerRequest:
    path = context.settings.teaching / "model.pkl"
    if not path.exists():
        raise Damaged(f"There is no model at {path}. Run `labserver build`.")
    return UnpickledPerRequest(path, context.catalogue.names, threads)


def unpickle_at_start(context: Context, threads: int | None) -> OneRowFrames:
    """From lesson 6 to 8: loaded once, and only if it is the file that the build wrote."""
    path = context.settings.teaching / "model.pkl"
    try:
        content = path.read_bytes()
        expected = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        raise Damaged(f"There is no whole model at {path}. Run `labserver build`.") from None
    if (hashlib.sha256(content).hexdigest(), context.bundle.manifest["bundle_hash"]) != (
        expected["sha256"],
        expected["bundle_hash"],
    ):
        raise Damaged(f"{path} is not the file that the build of this bundle wrote. Run `labserver build`.")
    return OneRowFrames(pickle.loads(content), context.catalogue.names, threads)  # noqa: S301  (hash verified)
