"""The clock of a home folder: the moment of 2013 up to which its online store is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.store import connect, provide, read_clock
from labserver.model.signing import open_bundle
from labserver.moments import NEW_YORK
from labserver.pipeline.materialise import set_clock
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.settings import Settings
from labserver.writing import check_database


def read(settings: Settings, catalogue: Catalogue) -> datetime:
    """Where the clock is, in New York's time.

    Raises:
        LabError: if nothing was built, or the store is damaged.
    """
    with _store(settings, catalogue) as (store, _):
        return read_clock(store).astimezone(NEW_YORK)


def move(settings: Settings, catalogue: Catalogue, moment: datetime) -> None:
    """Bring the store to a moment, forward or back. A running service sees it with its next answer.

    Raises:
        LabError: if nothing was built, or the store is damaged or cannot be written.
    """
    with _store(settings, catalogue) as (store, trained), open_warehouse(settings.warehouse) as db:
        check_database(settings.online_store(open_bundle(settings).features_version))
        set_clock(db, store, trained, moment)


def parse(text: str) -> datetime:
    """``2013-09-01``, or a moment such as ``2013-09-01T08:30``; in New York's time if it has no offset.

    Raises:
        LabError: if it is neither, or not in 2013.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LabError(f"{text!r} is not a moment. Write it as 2013-09-01 or 2013-09-01T08:30.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)
    if not date(2013, 1, 1) <= moment.astimezone(NEW_YORK).date() <= date(2013, 12, 31):
        raise LabError(f"{text} is outside the data. Choose a moment from 2013-01-01 to 2013-12-31.")
    return moment


@contextmanager
def _store(settings: Settings, catalogue: Catalogue) -> Iterator[tuple[sqlite3.Connection, Catalogue]]:
    bundle = open_bundle(settings)
    trained = catalogue.with_trained(bundle.catalogue)
    path = settings.online_store(bundle.features_version)
    provide(bundle.snapshot, path)
    with closing(connect(path, trained)) as store:
        yield store, trained
