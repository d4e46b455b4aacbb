"""Whether what was built still fits the code."""

from __future__ import annotations

import json
from pathlib import Path

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.store import OnlineStore
from labserver.model.signing import open_bundle
from labserver.pipeline.sbom import is_of_this_lock
from labserver.settings import Settings


def is_current(settings: Settings, catalogue: Catalogue = CATALOGUE) -> bool:
    """True if there is a whole bundle of this catalogue and of the packages that serve now, with warehouse and
    experiment beside it, and an online store that fits or none: a service that finds none starts with the bundle's
    snapshot.
    """
    try:
        if not (settings.warehouse.exists() and settings.experiment.exists() and _is_readable(settings.experiment)):
            return False
        bundle = open_bundle(settings)
        if bundle.catalogue.get("version") != catalogue.version or not is_of_this_lock(bundle.sbom):
            return False
        if (store := settings.online_store(bundle.features_version)).exists():
            OnlineStore(store, catalogue).close()
    except (LabError, OSError):  # OSError: a folder that this user cannot look into
        return False
    return True


def _is_readable(experiment: Path) -> bool:
    """Whether this code can read the pickle: it names modules, and an older version had them elsewhere."""
    try:
        written = json.loads(experiment.with_suffix(".json").read_bytes())
        return bool(written["saved_by"] == "labserver.pipeline.experiment")
    except (OSError, ValueError, KeyError, TypeError):
        return False
