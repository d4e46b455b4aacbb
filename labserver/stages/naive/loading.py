"""Bundle and model before lessons 6 and 8: believed, fetched, unpickled, and fed with DataFrames."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from labserver.errors import Damaged, LabError
from labserver.features.signature import Signature
from labserver.model.bundle import Bundle
from labserver.parts import Context
from labserver.settings import Settings

TRUSTED = ("manifest", "catalogue", "reference", "vocabulary")


def loader(path: Path) -> Bundle:
    """Before lesson 6: what is in the folder is believed."""
    try:
        content = {name: json.loads((path / f"{name}.json").read_bytes()) for name in TRUSTED}
        return Bundle(path=path.resolve(), model=(path / "model.onnx").read_bytes(), **content)
    except (OSError, ValueError):
        raise Damaged(f"There is no readable bundle at {path}. Run `labserver build`.") from None


class UnpickledPerRequest:
    """Before lesson 6: the file is read, and whatever it contains is run, for every single request."""

    def __init__(self, path: Path, signature: Signature, threads: int | None) -> None:
        self._path, self.signature, self._threads = path, signature, threads

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``labserver.service.ports.Predictor``."""
        with self._path.open("rb") as file:
            experiment = pickle.load(file)  # noqa: S301  (the lesson)
        return OneRowFrames(experiment, self.signature, self._threads).probabilities(matrix)


class OneRowFrames:
    """Before lesson 8: a DataFrame for each call, and a library made for training.

    The experiment is kept as it was saved: a server that needs the model holds the flights it was judged on too.
    """

    def __init__(self, experiment: dict[str, Any], signature: Signature, threads: int | None) -> None:
        """Take an experiment over.

        Args:
            experiment: what ``labserver.pipeline.experiment.write_experiment`` saved.
            signature: the model's features, in its order.
            threads: OpenMP threads for one call; None leaves it to the library, which takes every core.
        """
        self._experiment, self.signature, self._threads = experiment, signature, threads
        self._names = list(signature.names)
        # Looking for the loaded libraries takes longer than a prediction, so it is done once.
        self._libraries = ThreadpoolController().select(user_api="openmp") if threads else None

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``labserver.service.ports.Predictor``."""
        frame = pd.DataFrame([dict(zip(self._names, row, strict=True)) for row in matrix.tolist()])
        with self._libraries.limit(limits=self._threads) if self._libraries else nullcontext():
            column: NDArray[np.float64] = self._experiment["model"].predict_proba(frame)[:, 1]
        return column.astype(np.float32)


def unpickle_per_request(context: Context, threads: int | None) -> UnpickledPerRequest:
    """The experiment in the shared folder, or a copy fetched from the model store that the settings name.

    Raises:
        LabError: if it is not there, or the store does not answer: then nothing starts.
    """
    settings = context.settings
    path = _fetched(settings.model_store, settings) if settings.model_store else settings.experiment
    if not path.exists():
        raise Damaged(f"There is no experiment at {path}. Run `labserver build`.")
    return UnpickledPerRequest(path, context.bundle.signature, threads)


def _fetched(store: str, settings: Settings) -> Path:
    settings.state.mkdir(parents=True, exist_ok=True)
    path = settings.state / settings.experiment.name
    try:
        with urllib.request.urlopen(store, timeout=10) as answer, path.open("wb") as file:  # noqa: S310  (the lesson)
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError) as error:
        raise LabError(f"The model store at {store} does not give the model ({error}); no model, no start.") from None
    return path


def unpickle_at_start(context: Context, threads: int | None) -> OneRowFrames:
    """From lesson 6 to 8: loaded once, and only if it is the file that the build of this bundle wrote.

    Raises:
        Damaged: if it is another file, or none; nothing of it is run then.
    """
    experiment, signature = verified_experiment(context), context.bundle.signature
    if tuple(experiment["model"].feature_names_in_) != signature.names:
        raise Damaged("The experiment's model wants other features than the bundle's. Run `labserver build`.")
    return OneRowFrames(experiment, signature, threads)


def verified_experiment(context: Context) -> dict[str, Any]:
    """What ``labserver.pipeline.experiment.write_experiment`` saved with this bundle.

    Raises:
        Damaged: if it is another file, or none; nothing of it is run then.
    """
    path = context.settings.experiment
    try:
        content = path.read_bytes()
        expected = json.loads(path.with_suffix(".json").read_bytes())
        written = (expected["sha256"], expected["bundle_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Damaged(f"There is no whole experiment at {path}. Run `labserver build`.") from None
    if (hashlib.sha256(content).hexdigest(), context.bundle.manifest["bundle_hash"]) != written:
        raise Damaged(f"{path} is not the file that the build of this bundle wrote. Run `labserver build`.")
    experiment: dict[str, Any] = pickle.loads(content)  # noqa: S301  (hash verified)
    return experiment
