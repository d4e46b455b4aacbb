"""From the sources to a bundle in one command: warehouse, features, training, export, snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from threadpoolctl import threadpool_limits

from labserver.errors import Damaged
from labserver.features.catalogue import Catalogue
from labserver.features.store import connect, copy_snapshot
from labserver.model.bundle import GOLDEN, SBOM, Bundle, add_bundle, load_bundle, shelf, to_json
from labserver.model.signing import open_bundle
from labserver.pipeline.experiment import write_experiment
from labserver.pipeline.fit import Fitted, Trainer, check_baselines, fit, keep, train_model
from labserver.pipeline.history import write_history
from labserver.pipeline.lineage import lineage
from labserver.pipeline.locks import Report, held
from labserver.pipeline.materialise import write_snapshot
from labserver.pipeline.monitoring import monitoring_statistics
from labserver.pipeline.release import opened
from labserver.pipeline.sbom import sbom
from labserver.pipeline.scores import Scores
from labserver.pipeline.signing import Sign, signer
from labserver.pipeline.sources.warehouse import build_warehouse, prepare
from labserver.pipeline.table import JoinedFlights, TrainingTable
from labserver.pipeline.training import TRAINED_UNTIL
from labserver.service.decision import ExpectedCost
from labserver.settings import Settings


@dataclass(frozen=True)
class Built:
    """What a build tells the person who ran it."""

    bundle_hash: str
    metrics: Mapping[str, Scores]
    seconds: dict[str, float]
    active: bool


@dataclass(frozen=True)
class Steps:
    """Takes the time of each step of a build, and reports it."""

    report: Report
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)
        self.report(f"{name} ({self.seconds[name]:.1f} s)")


@contextmanager
def one_at_a_time(home: Path, report: Report) -> Iterator[None]:
    """Hold a home folder for one build; another one waits."""
    with held(home / "build.lock", report, "waiting: another build is at work in this folder"):
        yield


def build(
    settings: Settings,
    catalogue: Catalogue,
    report: Report,
    *,
    keep_model: bool = False,
    candidate: bool = False,
    why: str = "",
) -> Built:
    """Make the warehouse, the teaching experiment, and the bundle, each replaced as a whole.

    Args:
        settings: of the home folder.
        catalogue: the features.
        report: gets a line for each step.
        keep_model: leave the model of the bundle as it is, and make anew what the catalogue says: a feature was added.
        candidate: add the bundle to the registry, and leave champion and experiment as they are.
        why: the reason, for the registry.

    Raises:
        LabError: if a contract, a schema, a baseline or the equality of the export fails, or the model that is kept
            wants what the catalogue does not have. The old bundle stays.
    """
    step = Steps(report)
    kept = open_bundle(settings) if keep_model else None
    with step("sources: warehouse with contracts checked"):
        build_warehouse(settings.warehouse)
    return build_bundle(settings, catalogue, step, kept=kept, candidate=candidate, why=why)


def build_bundle(
    settings: Settings,
    catalogue: Catalogue,
    step: Steps,
    trainer: Trainer = train_model,
    *,
    gate: bool = True,
    kept: Bundle | None = None,
    candidate: bool = False,
    why: str = "",
) -> Built:
    """Everything after the warehouse: features, model, experiment and bundle.

    Args:
        settings: of the home folder, which has a warehouse. The features' history is written into it.
        catalogue: the features.
        step: takes the time.
        trainer: fits another model than the shipped one.
        gate: whether a baseline that beats the model stops the build.
        kept: the bundle whose model is kept; then none is fitted.
        candidate: see :func:`build`.
        why: see :func:`build`.

    Raises:
        LabError: see :func:`build`.
    """
    before, sign = _manifest_of(settings.bundle), signer(settings)
    with duckdb.connect(str(settings.warehouse)) as db:
        prepare(db)
        with step("features: history of every precomputed value"):
            write_history(db, catalogue)
        with step("features: point-in-time join of all flights"):
            joined = JoinedFlights.from_warehouse(db, catalogue)
        with step("features: ranges, completion, schema"):
            table = TrainingTable.from_joined(joined, catalogue)
        if kept:
            with step("model: kept, its signature compared with the catalogue"):
                fitted = keep(kept, table)
        else:
            # Threads that spin take eight times the processor beside other work. The bits are equal.
            named = "model: training, baselines, export, equality on every held-out flight and at every threshold"
            with step(named), threadpool_limits(1):
                fitted = fit(table, ExpectedCost.from_settings(settings).threshold, trainer)
        metrics = {name: fitted.facts["metrics"][name] for name in ("model", "logistic_regression", "base_rate")}
        if gate:
            check_baselines(metrics)
        with step("statistics: training's distributions, alarm thresholds"):
            statistics = monitoring_statistics(db, table, fitted, ExpectedCost.from_settings(settings).threshold)
        with step("bundle: snapshot, manifest, hashes, registry"), opened(settings, step.report) as releases:
            bundle_hash = _write(settings, db, table, fitted, statistics, sign)
            bundle = load_bundle(shelf(settings.home) / bundle_hash[:16])
            releases.register(lineage(bundle, settings, why))
            if not candidate:
                releases.promote(bundle.name, why, catalogue)
            releases.remove_old()
    if not candidate:
        write_experiment(settings.experiment, fitted.experiment, bundle_hash)
        _keep_or_replace_store(settings, catalogue, before, step.report)
    return Built(bundle_hash, metrics, step.seconds, active=not candidate)


def _write(
    settings: Settings,
    db: duckdb.DuckDBPyConnection,
    table: TrainingTable,
    fitted: Fitted,
    statistics: Mapping[str, Any],
    sign: Sign | None,
) -> str:
    catalogue = table.catalogue
    manifest = {
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "features_version": catalogue.version,
        "clock": TRAINED_UNTIL.astimezone(UTC).isoformat(),
        **fitted.facts,
    }

    def fill(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(fitted.onnx)
        (folder / GOLDEN).write_bytes(to_json(fitted.panel.shown()))
        (folder / "catalogue.json").write_bytes(to_json(catalogue.described()))
        (folder / "reference.json").write_bytes(to_json(statistics))
        (folder / SBOM).write_bytes(to_json(sbom()))
        (folder / "vocabulary.json").write_bytes(to_json(vocabulary(db)))
        write_snapshot(db, folder / "online.db", catalogue, TRAINED_UNTIL)

    return add_bundle(settings.home, manifest, fill, sign)


def _keep_or_replace_store(settings: Settings, catalogue: Catalogue, before: Mapping[str, Any], report: Report) -> None:
    """Replace the catalogue's store if no service can use it. One that is whole stays, and with it the clock: a service
    may be running on it.

    Args:
        settings: of the home folder.
        catalogue: the features.
        before: the manifest of the bundle that was active, or an empty one.
        report: gets a line if the store's values come from other sources than the new bundle's.
    """
    bundle = load_bundle(settings.bundle)
    store = settings.online_store(bundle.features_version)
    if not store.exists():
        return
    try:
        connect(store, catalogue).close()
    except Damaged:
        copy_snapshot(bundle.snapshot, store)
        return
    same = before.get("features_version") != bundle.features_version or (
        before["files"][bundle.snapshot.name] == bundle.manifest["files"][bundle.snapshot.name]
    )
    if not same:
        report(
            "the features' definitions are the same and their values are not: the online store keeps those that it "
            "has. `labserver serve --fresh-store` starts with the new ones"
        )


def _manifest_of(link: Path) -> Mapping[str, Any]:
    try:
        return load_bundle(link).manifest
    except Damaged:
        return {}


def vocabulary(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The codes a request may use, from the published schedule: carriers, origins, and each origin's destinations."""
    carriers = [row[0] for row in db.execute("SELECT carrier FROM airlines ORDER BY carrier").fetchall()]
    routes: dict[str, list[str]] = {}
    for origin, dest in db.execute("SELECT DISTINCT origin, dest FROM flights ORDER BY origin, dest").fetchall():
        routes.setdefault(origin, []).append(dest)
    [[last]] = db.execute("SELECT epoch_us(max(scheduled_departure)) FROM flights").fetchall()
    return {"carrier": carriers, "routes": routes, "last_departure_microseconds": last}
