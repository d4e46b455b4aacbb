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


@dataclass(frozen=True, slots=True)
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
            weekday, both in New York's local time.
        age: for the age of its group's value, in hours, instead of a column of the group.
    """

    name: str
    unit: str
    meaning: str
    owner: str
    possible: Range
    impossible: Policy = "impute"
    unseen: Literal["clip", "keep"] = "clip"
    request: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]] | None = None
    age: bool = False
    trained: Trained | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Features that one batch makes for one kind of entity.

    Attributes:
        name: also the table's name in the online store.
        kind: how its values come about.
        entity: the columns of a flight that select the row.
        source: name of the source (``labserver.sources.contracts``).
        freshness: age at which a value is reported as stale, or None if it does not age.
        sql: the definition, over the warehouse: ``known_at``, the entity's columns, then one column for each feature
            that is not an age. For one entity, ``known_at`` never repeats.
        features: in the order of the columns.
    """

    name: str
    kind: Kind
    entity: tuple[str, ...]
    source: str
    freshness: timedelta | None
    sql: str
    features: tuple[Feature, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features that are columns of the group's table."""
        return tuple(feature.name for feature in self.features if not feature.age)


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
    def version(self) -> str:
        """Twelve hex digits over every definition: another definition is another version."""
        return hashlib.sha256(json.dumps(self.definition(), sort_keys=True).encode()).hexdigest()[:12]

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise LabError(f"There is no feature {name}. The catalogue has: {', '.join(self.names)}.")

    def trained_on(self, trained: Mapping[str, Trained]) -> Catalogue:
        """The same catalogue, with what training saw of each feature."""
        return Catalogue(
            tuple(
                replace(group, features=tuple(replace(f, trained=trained[f.name]) for f in group.features))
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
        """This catalogue with what a bundle says that training saw.

        Raises:
            LabError: if the bundle was made with other definitions; names what differs.
        """
        if described["version"] != self.version:
            theirs = {shown["name"] for group in described["groups"] for shown in group["features"]}
            differing = sorted(theirs ^ set(self.names)) or ["a definition of the same name"]
            raise LabError(
                f"The bundle was made with catalogue {described['version']}, this code has {self.version} "
                f"(they differ in: {', '.join(differing)}). Run `labserver build`."
            )
        return self.trained_on(
            {
                shown["name"]: Trained(Range(*shown["seen"]), shown["typical"])
                for group in described["groups"]
                for shown in group["features"]
            }
        )
