"""The experiment as a notebook saves it: the pickle of the teaching stages, whose lesson is what is wrong with it."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.model.bundle import sha256


def frames(
    model: HistGradientBoostingClassifier,
    flights: pd.DataFrame,
    raw: NDArray[np.float32],
    used: pd.DataFrame,
    train: NDArray[np.bool_],
) -> dict[str, Any]:
    """The frames that a model was fitted and judged on, and what it said of each route.

    All arguments have one row a flight: ``flights`` with origin, dest, carrier and late, ``raw`` and ``used`` with the
    features as joined and as cleaned, ``train`` whether training saw it.
    """
    table = pd.concat([flights, used], axis=1)
    held_out = table[~train].assign(probability=model.predict_proba(used[~train])[:, 1])
    by_route = held_out.groupby(["origin", "dest"])[["late", "probability"]]
    return {
        "joined": pd.DataFrame(raw[train], columns=used.columns),
        "training": table[train],
        "held_out": held_out,
        "by_route": {route: part for route, part in by_route},  # noqa: C416
    }


def write_experiment(path: Path, experiment: Mapping[str, Any], bundle_hash: str) -> None:
    """Pickle all that the notebook has in hand; beside it, the file's hash and the bundle it was built with.

    What people save is the whole experiment: the model, the baselines it was compared with, and the frames it was
    fitted and judged on, so that nothing is lost. Whoever wants the model then loads all of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pickle.dump(dict(experiment), file)
    draft = Path(file.name)
    written = {"sha256": sha256(draft), "bundle_hash": bundle_hash}
    draft.replace(path)
    path.with_suffix(".json").write_text(json.dumps(written))
