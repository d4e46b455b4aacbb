"""The words in which features are defined. The definitions themselves are in ``labserver.features.definitions``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError

MINUTES, WEEKDAYS = (axis.ravel() for axis in np.meshgrid(np.arange(1440.0), np.arange(1.0, 8.0)))
"""Every minute of the day on every ISO weekday: all that a feature of the request can be made from; shape (10080,)."""

Policy = Literal["reject", "impute", "clip"]
Kind = Literal["request", "static", "batch", "weather", "live"]
DTYPE: Literal["float32"] = "float32"


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval, in the feature's unit."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def holds(self, value: float) -> bool:
        """Whether the value lies inside; NaN does not."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Trained:
    """What training saw of one feature; filled in by the build.

    Attributes:
        seen: smallest and largest value of the training window, impossible values left out.
        typical: the median, used where a value is missing or impossible.
    """

    seen: Range
    typical: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number that the model sees.

    Attributes:
        name: unique in the catalogue, and the key of ``overrides``.
        unit: what one means, such as ``"min"``.
        meaning: one sentence.
        owner: the team that answers for it.
        possible: what can physically occur; anything else is an error of the source or of the client.
        impossible: what is done with an impossible value from our own sources. One sent by a client is always refused.
        unseen: what is done with a possible value that training never saw.
        request: for a feature made from the request alone: a NumPy function of the minute of the day and the ISO
            weekday, both in New York's local time. It gets arrays in training and plain numbers in the service.
        age: for the age of its group's value, in hours, instead of a column of the group.
    """

    name: str
    unit: str
    meaning: str
    owner: str
    possible: Range
    impossible: Policy = "impute"
    unseen: Literal["clip", "keep"] = "clip"
    request: Callable[[Any, Any], Any] | None = None
    age: bool = False
    trained: Trained | None = None

    @property
    def behaviour(self) -> dict[str, Any]:
        """What a model can notice of the definition beside its group's, as JSON-ready data.

        A function of the request is known by its values, all of them: a lambda that is written in another way and gives
        the same float32 values behaves the same.

        Raises:
            LabError: if the function does not take arrays.
        """
        possible = [self.possible.low, self.possible.high]
        told = {"name": self.name, "unit": self.unit, "possible": possible, "age": self.age}
        told |= {"impossible": self.impossible, "unseen": self.unseen}
        if self.request is None:
            return told
        try:
            values = np.broadcast_to(np.asarray(self.request(MINUTES, WEEKDAYS), "<f4"), MINUTES.shape)
        except (TypeError, ValueError) as error:
            raise LabError(f"The function of feature {self.name} does not take arrays: {error}") from error
        return told | {"values": hashlib.sha256((values + 0.0).tobytes()).hexdigest()}  # + 0.0: -0.0 is 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Features that one batch makes for one kind of entity.

    Attributes:
        name: also the table's name in the online store.
        kind: how its values come about.
        entity: the columns of a flight that select the row.
        source: name of the source (``labserver.pipeline.sources.contracts``).
        freshness: age at which a value is reported as stale, or None if it does not age.
        sql: the definition, over the warehouse: ``known_at``, the entity's columns, then one column for each feature
            that is not an age. For one entity, ``known_at`` never repeats.
        features: in the order of the columns.
    """

    name: str
    kind: Kind
    source: str
    features: tuple[Feature, ...]
    entity: tuple[str, ...] = ()
    freshness: timedelta | None = None
    sql: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features that are columns of the group's table."""
        return tuple(feature.name for feature in self.features if not feature.age)

    @property
    def version(self) -> str:
        """Twelve hex digits over what is stored: whose values, how they are computed, and in which columns."""
        return _digest([self.entity, " ".join(self.sql.split()), self.columns])

    def version_of(self, feature: Feature) -> str:
        """Twelve hex digits over all that a model can notice of one of the features; words for people are left out."""
        freshness = self.freshness.total_seconds() if self.freshness else None
        sql = " ".join(self.sql.split())
        return _digest([feature.behaviour, self.entity, sql, freshness])


@dataclass(frozen=True)
class Catalogue:
    """All groups, in order. Request features form a group without SQL."""

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        for name in names:
            if names.count(name) > 1:
                raise LabError(f"The catalogue defines feature {name} twice.")
        for feature in self.features:
            if not feature.unit or not feature.meaning or not feature.owner:
                raise LabError(f"Feature {feature.name} needs a unit, a meaning and an owner.")

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every feature, in catalogue order."""
        return tuple(feature for group in self.groups for feature in group.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in catalogue order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def stored(self) -> tuple[Group, ...]:
        """The groups that are looked up, in order."""
        return tuple(group for group in self.groups if group.sql)

    @cached_property
    def group_of(self) -> Mapping[str, Group]:
        """Feature name to group."""
        return {feature.name: group for group in self.groups for feature in group.features}

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Feature name to the version of its definition, in catalogue order: see :meth:`Group.version_of`."""
        return {feature.name: group.version_of(feature) for group in self.groups for feature in group.features}

    @cached_property
    def version(self) -> str:
        """Twelve hex digits over the versions of all features, in order."""
        return _digest(list(self.versions.items()))

    @cached_property
    def low(self) -> NDArray[np.float32]:
        """Smallest possible value of each feature, shape (features,)."""
        return np.array([feature.possible.low for feature in self.features], np.float32)

    @cached_property
    def high(self) -> NDArray[np.float32]:
        """Largest possible value of each feature, shape (features,)."""
        return np.array([feature.possible.high for feature in self.features], np.float32)

    @cached_property
    def typical(self) -> NDArray[np.float32]:
        """Training's median of each feature, shape (features,); NaN where training saw nothing of it."""
        medians = [feature.trained.typical if feature.trained else np.nan for feature in self.features]
        return np.array(medians, np.float32)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise LabError(f"There is no feature {name}. The catalogue has: {', '.join(self.names)}.")

    def trained_on(self, trained: Mapping[str, Trained]) -> Catalogue:
        """The same catalogue, with what training saw of each feature, where anything is known of it."""
        return Catalogue(
            tuple(
                replace(group, features=tuple(replace(f, trained=trained.get(f.name)) for f in group.features))
                for group in self.groups
            )
        )

    def definition(self) -> list[dict[str, Any]]:
        """The definitions as JSON-ready data, without what training saw."""
        return [
            {
                "group": group.name,
                "kind": group.kind,
                "entity": list(group.entity),
                "source": group.source,
                "freshness_seconds": group.freshness.total_seconds() if group.freshness else None,
                "sql": " ".join(group.sql.split()),
                "features": [
                    {
                        "name": feature.name,
                        "version": self.versions[feature.name],
                        "dtype": DTYPE,
                        "unit": feature.unit,
                        "meaning": feature.meaning,
                        "owner": feature.owner,
                        "possible": [feature.possible.low, feature.possible.high],
                        "impossible": feature.impossible,
                        "unseen": feature.unseen,
                    }
                    for feature in group.features
                ],
            }
            for group in self.groups
        ]

    def described(self) -> dict[str, Any]:
        """The catalogue as the API and the bundle show it: definitions, and what training saw."""
        groups = self.definition()
        for group in groups:
            for shown in group["features"]:
                trained = self[shown["name"]].trained
                if trained is not None:
                    shown["seen"] = [trained.seen.low, trained.seen.high]
                    shown["typical"] = trained.typical
        return {"version": self.version, "groups": groups}

    def with_trained(self, described: Mapping[str, Any]) -> Catalogue:
        """This catalogue with what a bundle says that training saw of each feature.

        Of a feature that the bundle does not have, or has under another version, nothing is known. That is no fault
        before a model wants it: see :class:`labserver.features.signature.Signature`.
        """
        built = [shown for group in described["groups"] for shown in group["features"] if "seen" in shown]
        return self.trained_on(
            {
                shown["name"]: Trained(Range(*shown["seen"]), shown["typical"])
                for shown in built
                if shown["version"] == self.versions.get(shown["name"])
            }
        )


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
