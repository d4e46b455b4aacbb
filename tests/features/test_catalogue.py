"""One place for every definition: complete, named once, and another definition is another version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Feature, Range
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import Bundle, to_json
from labserver.sources import SOURCES


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
        {"name": "barometer"},
        {"unit": "Pa"},
        {"meaning": "Station pressure"},
        {"owner": "nobody"},
        {"possible": Range(0, 1)},
        {"impossible": "clip"},
        {"unseen": "keep"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_another_definition_is_another_version(fields: dict[str, object]) -> None:
    assert changed("pressure", **fields).version != CATALOGUE.version


def test_another_sql_is_another_version_and_other_line_breaks_are_not() -> None:
    def with_sql(change: str) -> str:
        groups = tuple(replace(g, sql=g.sql.replace("humid AS", change)) for g in CATALOGUE.groups)
        return Catalogue(groups).version

    assert with_sql("temp AS") != CATALOGUE.version
    assert with_sql("humid\n   AS") == CATALOGUE.version


def test_what_training_saw_is_not_part_of_the_version(catalogue: Catalogue) -> None:
    assert catalogue.version == CATALOGUE.version
    assert catalogue["pressure"].trained is not None
    assert CATALOGUE["pressure"].trained is None


def test_an_unknown_feature_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"There is no feature snow\. The catalogue has: departure_hour, weekday, "):
        CATALOGUE["snow"]


def test_the_bundles_description_gives_back_the_catalogue_that_made_it(bundle: Bundle, catalogue: Catalogue) -> None:
    assert to_json(catalogue.described()) == to_json(bundle.catalogue)


def test_a_bundle_of_other_features_is_refused_and_the_difference_named(bundle: Bundle) -> None:
    with pytest.raises(LabError, match=r"they differ in: barometer, pressure\)\. Run `labserver build`"):
        changed("pressure", name="barometer").with_trained(bundle.catalogue)
    with pytest.raises(LabError, match=r"they differ in: a definition of the same name\)"):
        changed("pressure", possible=Range(0, 2000)).with_trained(bundle.catalogue)


def test_training_saw_only_what_is_possible(catalogue: Catalogue) -> None:
    for feature in catalogue.features:
        assert feature.trained is not None
        seen = feature.trained.seen
        assert feature.possible.low <= seen.low < seen.high <= feature.possible.high, feature.name
        assert seen.holds(feature.trained.typical), feature.name


@pytest.mark.parametrize(("value", "holds"), [(0, True), (1, True), (-0.1, False), (1.1, False), (float("nan"), False)])
def test_a_range_holds_both_its_ends_and_no_nan(value: float, holds: bool) -> None:
    assert Range(0, 1).holds(value) is holds
