"""Names that people cannot tell apart are one name, and names that only machines can read are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exercises.classroom.pseudonyms import ADJECTIVES, ANIMALS, free_name, looks, spelt


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("Zoe\u0308  K.", "Zoë K."),
        ("\uff2da\uff58", "Max"),
        ("Łukasz", "Łukasz"),
        ("Ελένη", "Ελένη"),
        ("Олена", "Олена"),
        ("山田 たろう", "山田 たろう"),
        ("김민수", "김민수"),
        ("हिन्दी", "हिन्दी"),
        ("ไทย น้ำ", "ไทย น้\u0e4dา"),
        ("مريم 7", "مريم 7"),
    ],
)
def test_names_of_the_worlds_scripts_have_one_spelling(name: str, spelling: str) -> None:
    assert spelt(name) == spelling
    assert spelt(spelling) == spelling


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("calm\u200d heron", "cannot be seen"),
        ("calm\u200b heron", "cannot be seen"),
        ("calm\u00ad heron", "cannot be seen"),
        ("calm\ufeff heron", "cannot be seen"),
        ("calm\u202e heron", "cannot be seen"),
        ("a" + "\u0301" * 29, "too many marks"),
        ("calm her\u043en", "more than one script"),
        ("Αnna", "more than one script"),
    ],
)
def test_what_nobody_can_read_is_no_name(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        spelt(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("calm heron", "Calm-Heron"),
        ("calm heron", "ca1m her0n"),
        ("Ian", "lan"),
        ("coco", "\u0441\u043e\u0441\u043e"),
        ("KOT", "\u041a\u041e\u0422"),
        ("BETA", "\u0392\u0395\u03a4\u0391"),
        ("straße", "STRASSE"),
    ],
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    assert looks(one) == looks(other)


def test_all_pairs_look_different_and_a_free_one_looks_like_nobody() -> None:
    pairs = [f"{first} {second}" for first in ADJECTIVES.split() for second in ANIMALS.split()]
    taken = {looks(pair) for pair in pairs}
    assert len(taken) == len(pairs)
    assert looks(free_name(taken - {looks("wise wren")})) == looks("wise wren")
    numbered = free_name(taken)
    assert looks(numbered) not in taken
    assert numbered.endswith(" 2")


@given(st.text(max_size=30))
def test_a_name_that_is_taken_has_one_spelling_and_one_look(name: str) -> None:
    try:
        spelling = spelt(name)
    except ValueError:
        return
    assert spelt(spelling) == spelling
    assert looks(spelling) == looks(name)
