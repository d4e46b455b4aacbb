"""One place for every definition: complete, named once, and another definition is another version."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Feature, Range
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import Bundle, to_json
from labserver.pipeline.sources import SOURCES


def changed(changing: str, /, **fields: object) -> Catalogue:
    """The catalogue with one feature defined differently."""
    return Catalogue(
        tuple(
            replace(
                group,
                features=tuple(replace(f, **fields) if f.name == changing else f for f in group.features),  # type: ignore[arg-type]
            )
            for group in CATALOGUE.groups
        )
    )


def of_group(changing: str, /, **fields: object) -> Catalogue:
    """The catalogue with one group defined differently."""
    return Catalogue(tuple(replace(g, **fields) if g.name == changing else g for g in CATALOGUE.groups))  # type: ignore[arg-type]


def differing(other: Catalogue) -> set[str]:
    """The features whose version is not the catalogue's."""
    return {name for name, version in other.versions.items() if version != CATALOGUE.versions[name]}


@pytest.mark.parametrize("feature", CATALOGUE.features, ids=lambda feature: feature.name)
def test_every_feature_has_a_unit_a_meaning_an_owner_and_a_range(feature: Feature) -> None:
    assert feature.unit
    assert feature.meaning
    assert feature.owner
    assert feature.possible.low < feature.possible.high
    assert (feature.request is not None) == (CATALOGUE.group_of[feature.name].kind == "request")


def test_every_stored_group_names_a_source_with_a_contract() -> None:
    names = {source.name for source in SOURCES}
    assert {group.source for group in CATALOGUE.stored} <= names
    assert all(group.entity for group in CATALOGUE.stored)


def test_every_group_that_ages_says_when_it_is_stale() -> None:
    ageing = {group.name for group in CATALOGUE.stored if group.freshness}
    assert ageing == {"route_month", "carrier_month", "airport_week", "airport_weather", "airport_now"}


def test_a_feature_defined_twice_is_refused() -> None:
    with pytest.raises(LabError, match="defines feature distance twice"):
        changed("weekday", name="distance")


@pytest.mark.parametrize("field", ["unit", "meaning", "owner"])
def test_a_feature_without_unit_meaning_or_owner_is_refused(field: str) -> None:
    with pytest.raises(LabError, match="Feature pressure needs a unit, a meaning and an owner"):
        changed("pressure", **{field: ""})


@pytest.mark.parametrize(
    "fields",
    [
        {"unit": "Pa"},
        {"possible": Range(870, 1086)},
        {"possible": Range(869, 1085)},
        {"impossible": "clip"},
        {"unseen": "keep"},
        {"age": True},
    ],
    ids=str,
)
def test_another_behaviour_is_another_version_of_that_feature_alone(fields: dict[str, object]) -> None:
    other = changed("pressure", **fields)
    assert differing(other) == {"pressure"}
    assert other.version != CATALOGUE.version


def test_another_name_is_another_feature() -> None:
    other = changed("pressure", name="barometer")
    assert other.versions["barometer"] != CATALOGUE.versions["pressure"]
    assert other.version != CATALOGUE.version


@pytest.mark.parametrize("fields", [{"meaning": "Station pressure"}, {"owner": "nobody"}], ids=str)
def test_other_words_for_people_are_no_other_version(fields: dict[str, object]) -> None:
    assert changed("pressure", **fields).versions == CATALOGUE.versions


WEATHER = ("humidity", "wind_speed", "precipitation", "pressure", "visibility")


@pytest.mark.parametrize(
    "fields",
    [{"freshness": timedelta(hours=4)}, {"freshness": None}, {"entity": ("dest",)}, {"sql": "SELECT 1"}],
    ids=["freshness", "no freshness", "entity", "sql"],
)
def test_another_group_is_another_version_of_its_features_alone(fields: dict[str, object]) -> None:
    other = of_group("airport_weather", **fields)
    assert differing(other) == set(WEATHER)


def test_other_line_breaks_are_no_other_version() -> None:
    sql = next(group.sql for group in CATALOGUE.groups if group.name == "airport_weather")
    assert of_group("airport_weather", sql=sql.replace(" ", "\n   ")).versions == CATALOGUE.versions


@pytest.mark.parametrize("minute", [0, 719, 1439])
def test_a_function_of_the_request_is_known_by_its_value_at_every_minute_of_every_weekday(minute: int) -> None:
    once = changed(
        "departure_hour",
        request=lambda m, weekday: m / 60.0 + ((m == minute) & (weekday == 7)) * 0.001,
    )
    assert differing(once) == {"departure_hour"}


@pytest.mark.parametrize("same", [lambda minute, _: (minute) / 60, lambda m, weekday: m * 1.0 / 60 - 0.0 * weekday])
def test_a_function_that_is_written_in_another_way_is_the_same(same: object) -> None:
    assert changed("departure_hour", request=same).versions == CATALOGUE.versions


def test_a_function_that_takes_no_arrays_has_no_version() -> None:
    with pytest.raises(LabError, match=r"The function of feature departure_hour does not take arrays: .*ambiguous"):
        changed("departure_hour", request=lambda minute, _: 1.0 if minute > 60 else 0.0).version  # noqa: B018


def test_one_more_feature_leaves_every_other_version_as_it_is() -> None:
    first, *others = CATALOGUE.groups
    more = replace(first.features[0], name="half", request=lambda minute, _: minute / 120)
    wider = Catalogue((replace(first, features=(more, *first.features)), *others))
    assert {name: version for name, version in wider.versions.items() if name != "half"} == CATALOGUE.versions
    assert wider.version != CATALOGUE.version


def test_the_catalogues_version_is_of_its_order_too() -> None:
    assert Catalogue(CATALOGUE.groups[::-1]).version != CATALOGUE.version


@pytest.mark.parametrize(
    "fields",
    [{"freshness": timedelta(hours=6)}, {"freshness": None}, {"entity": ("dest",)}, {"entity": ("origin", "dest")}],
    ids=["longer freshness", "no freshness", "another entity", "one more entity"],
)
def test_a_group_of_another_freshness_or_entity_is_another_version(fields: dict[str, object]) -> None:
    """The weather of an airport: its entity is the origin, and it is stale after three hours."""
    groups = tuple(replace(g, **fields) if g.name == "airport_weather" else g for g in CATALOGUE.groups)  # type: ignore[arg-type]
    assert Catalogue(groups).version != CATALOGUE.version


def test_what_training_saw_is_not_part_of_the_version(catalogue: Catalogue) -> None:
    assert catalogue.version == CATALOGUE.version
    assert catalogue["pressure"].trained is not None
    assert CATALOGUE["pressure"].trained is None


def test_an_unknown_feature_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"There is no feature snow\. The catalogue has: departure_hour, weekday, "):
        CATALOGUE["snow"]


def test_the_bundles_description_gives_back_the_catalogue_that_made_it(bundle: Bundle, catalogue: Catalogue) -> None:
    assert to_json(catalogue.described()) == to_json(bundle.catalogue)


@pytest.mark.parametrize("fields", [{"name": "barometer"}, {"possible": Range(0, 2000)}], ids=str)
def test_nothing_is_known_of_a_feature_that_the_bundle_has_not_or_defines_in_another_way(
    bundle: Bundle, fields: dict[str, object]
) -> None:
    wider = changed("pressure", **fields).with_trained(bundle.catalogue)
    unknown = {feature.name for feature in wider.features if feature.trained is None}
    assert unknown == {str(fields.get("name", "pressure"))}
    assert np.isnan(wider.typical).sum() == 1


def test_training_saw_only_what_is_possible(catalogue: Catalogue) -> None:
    for feature in catalogue.features:
        assert feature.trained is not None
        seen = feature.trained.seen
        assert feature.possible.low <= seen.low < seen.high <= feature.possible.high, feature.name
        assert seen.holds(feature.trained.typical), feature.name


@pytest.mark.parametrize(("value", "holds"), [(0, True), (1, True), (-0.1, False), (1.1, False), (float("nan"), False)])
def test_a_range_holds_both_its_ends_and_no_nan(value: float, holds: bool) -> None:
    assert Range(0, 1).holds(value) is holds
