"""Whether what was built still fits the code."""

from __future__ import annotations

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.store import OnlineStore
from labserver.model.bundle import load_bundle
from labserver.settings import Settings


def is_current(settings: Settings, catalogue: Catalogue = CATALOGUE) -> bool:
    """True if there is a whole bundle of this catalogue, with warehouse, experiment and online store beside it."""
    if not (settings.warehouse.exists() and settings.experiment.exists()):
        return False
    try:
        catalogue.with_trained(load_bundle(settings.bundle).catalogue)
        OnlineStore(settings.online_store, catalogue).close()
    except LabError:
        return False
    return True
