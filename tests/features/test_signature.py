"""A model wants features by name, in versions; what does not fit is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.signature import Signature

subsets = st.lists(st.sampled_from(CATALOGUE.names), unique=True, min_size=1)


@given(subsets)
def test_any_features_in_any_order_are_found_where_the_catalogue_has_them(names: list[str]) -> None:
    signature = Signature.of(CATALOGUE, names)
    assert [CATALOGUE.names[place] for place in signature.places(CATALOGUE)] == names
    assert Signature.read(signature.shown()) == signature


def test_of_all_features_it_is_the_catalogues_order() -> None:
    assert Signature.of(CATALOGUE).places(CATALOGUE).tolist() == list(range(len(CATALOGUE.names)))


def test_a_feature_that_the_catalogue_lacks_is_named() -> None:
    signature = Signature.of(CATALOGUE, ["pressure", "humidity"])
    without = Catalogue(tuple(group for group in CATALOGUE.groups if group.name != "airport_weather"))
    with pytest.raises(LabError, match="it wants pressure, which the catalogue lacks; humidity, which the catalogue"):
        signature.places(without)
    with pytest.raises(LabError, match="There is no feature snow"):
        Signature.of(CATALOGUE, ["snow"])


def test_a_feature_of_another_version_is_named_with_both() -> None:
    first, *others = CATALOGUE.groups
    hour, weekday = first.features
    later = replace(hour, request=lambda minute, _: (minute + 240) / 60.0)
    shifted = Catalogue((replace(first, features=(later, weekday)), *others))
    ours, theirs = CATALOGUE.versions["departure_hour"], shifted.versions["departure_hour"]
    with pytest.raises(
        LabError, match=f"departure_hour in version {ours}, where the catalogue has {theirs}.*trained on"
    ):
        Signature.of(CATALOGUE).places(shifted)
    Signature.of(CATALOGUE, ["weekday", "distance"]).places(shifted)  # a model that does not want it is not concerned
