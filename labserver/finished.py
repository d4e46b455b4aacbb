"""The parts of the finished service, in the order of the lessons that introduce them."""

from __future__ import annotations

from labserver.api.admission import admission
from labserver.api.lifecycle import drain
from labserver.errors import Damaged
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.features.store import OnlineStore, provide
from labserver.model.bundle import load_bundle
from labserver.model.predictor import OnnxPredictor, ThreadedPredictor
from labserver.model.reference import Reference
from labserver.monitor.alarm_thresholds import AlarmThresholds
from labserver.monitor.drift import DeviationDetector
from labserver.monitor.monitor import ModelMonitor, Watched
from labserver.parts import Context, Ingredients, Parts
from labserver.service.decision import ExpectedCost
from labserver.service.prediction import PredictionService
from labserver.settings import Settings


def catalogue(settings: Settings) -> Catalogue:
    """Lesson 0: features are defined in one place, apart from any model."""
    return CATALOGUE


def completion(context: Context) -> TypicalValues:
    """Lesson 3: every vector is complete and finite before the model sees it."""
    return TypicalValues(context.catalogue)


def ranges(context: Context) -> CatalogueRanges:
    """Lesson 4: the catalogue's ranges are enforced."""
    return CatalogueRanges(context.catalogue)


def decision(context: Context) -> ExpectedCost:
    """Lesson 5: decisions by expected cost."""
    return ExpectedCost.from_settings(context.settings)


def service(ingredients: Ingredients) -> PredictionService:
    """Lesson 5: precomputed values are looked up in the online store."""
    context = ingredients.context
    path = context.settings.online_store(context.bundle.features_version)
    provide(context.bundle.snapshot, path)
    return PredictionService(
        context.catalogue,
        context.bundle.vocabulary,
        OnlineStore(path, context.catalogue),
        ingredients.ranges,
        ingredients.completion,
        ingredients.predictor,
        ingredients.decision,
    )


def threads(settings: Settings) -> int | None:
    """Lesson 7: the number of threads that was measured to pay off, not the machine's number of cores."""
    return settings.threads


def predictor(context: Context, threads: int | None) -> OnnxPredictor:
    """Lesson 8: ONNX Runtime on one float32 row, checked against the trained model's answers before it may serve."""
    kind = ThreadedPredictor if threads and threads > 1 else OnnxPredictor
    model = kind(context.bundle.model, threads=threads or 1)
    if model.signature != context.bundle.signature:
        raise Damaged(
            "model.onnx wants other features than the manifest says, or in another order. Run `labserver build`."
        )
    panel = context.bundle.golden
    panel.check(model.probabilities(panel.rows))
    return model


def inline(settings: Settings) -> bool:
    """Lesson 8: a prediction takes a fraction of a millisecond, so the event loop answers it, past the framework."""
    return True


def drift(context: Context) -> DeviationDetector:
    """Lesson 9: every feature and the score are compared with training, day by day."""
    statistics, names = context.bundle.reference, context.catalogue.names
    return DeviationDetector(
        context.catalogue, Reference.read(statistics, names), AlarmThresholds.read(statistics, names)
    )


def monitor(watched: Watched) -> ModelMonitor:
    """Lesson 9: inputs, answers and outcomes are watched."""
    return ModelMonitor(watched)


def shadow(context: Context) -> None:
    """Lesson 9: no second model unless somebody puts one in."""


PARTS = Parts(
    catalogue=catalogue,
    drain=drain,
    admission=admission,
    completion=completion,
    ranges=ranges,
    service=service,
    decision=decision,
    loader=load_bundle,
    threads=threads,
    predictor=predictor,
    inline=inline,
    drift=drift,
    monitor=monitor,
    shadow=shadow,
)
"""All parts; those of lessons 1, 6 and 7 are defined in the modules that they belong to."""
