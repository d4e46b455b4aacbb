"""The experiment as a notebook saves it: the pickle of the teaching stages, whose lesson is what is wrong with it."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.model.bundle import sha256
from labserver.pipeline.table import TrainingTable
from labserver.writing import write_whole


def held_out(model: HistGradientBoostingClassifier, table: TrainingTable) -> pd.DataFrame:
    """The flights that the model was judged on, with their features and what it said of each."""
    judged, wanted = ~table.train, list(model.feature_names_in_)
    flights = pd.concat([table.flights, table.features], axis=1)[judged]
    return flights.assign(probability=model.predict_proba(flights[wanted])[:, 1])


def write_experiment(path: Path, experiment: Mapping[str, Any] | None, bundle_hash: str) -> None:
    """Pickle what the notebook has in hand; beside it, the file's hash and the bundle it was built with.

    People save the model with the baselines that it was compared with and the flights that it was judged on, so that
    the figures can be looked at again. A service that wants the model then loads all of it.

    Args:
        path: the pickle.
        experiment: its content; None leaves the file as it is, and only notes the bundle.
        bundle_hash: of the bundle with the same model.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if experiment is not None:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            pickle.dump(dict(experiment), file)
        Path(file.name).replace(path)
    written = {"sha256": sha256(path), "bundle_hash": bundle_hash, "saved_by": __name__}
    write_whole(path.with_suffix(".json"), json.dumps(written).encode())
