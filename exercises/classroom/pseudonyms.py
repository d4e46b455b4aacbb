"""Pseudonyms: two plain words, such as "calm heron", or what a learner chose, if it looks like nobody else's."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Container
from itertools import count, product

ADJECTIVES = """
agile amber bold brave bright brisk calm candid cheerful clear clever cosy crisp curious deft eager early fair fleet
gentle glad golden happy honest humble jolly keen kind lively loyal lucky mellow merry mild modest neat noble patient
polite proud quick quiet rapid serene sharp silver sincere sunny swift tidy tranquil warm wise
"""
ANIMALS = """
badger beaver bison condor cormorant crane cricket curlew dolphin eagle egret falcon finch gannet gazelle gecko gull
heron hoopoe ibis jackdaw kestrel kite koala lark lemur lynx magpie marmot marten merlin otter owl panda pelican
petrel pigeon plover puffin quail raven robin salmon seal shrike skylark sparrow starling stork swallow swan tern
thrush toucan turtle wren
"""


EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"}
"""Scripts that are written together: first words of their characters' names in Unicode."""
ALIKE = (
    str.maketrans({"0": "o", "1": "l", "i": "l"})
    | str.maketrans("авеікмнорстухѕјһԁԛԝ", "abelkmhopctyxsjhdqw")
    | str.maketrans("αβεζηικμνορτυχ", "abezhlkmnoptyx")
)
"""Maps folded digits, Cyrillic and Greek letters to the Latin ones that they, or their capitals, are taken for."""
MARKS = "MMM"
"""Marks in a row that no name needs; Thai needs two."""
BETWEEN_WORDS = re.compile(r"[\s_.'\-]+")


def spelt(name: str) -> str:
    """The one spelling of a name: compatible and composed characters, single spaces.

    Raises:
        ValueError: if it has characters that cannot be seen, marks upon marks, or letters of several scripts: such a
            name can look like another one.
    """
    spelling = " ".join(unicodedata.normalize("NFKC", name).split())
    categories = [unicodedata.category(character) for character in spelling]
    if any(category.startswith("C") for category in categories):
        raise ValueError("has characters that cannot be seen")
    if MARKS in "".join(category[0] for category in categories):
        raise ValueError("has too many marks on a letter")
    scripts = {unicodedata.name(character).split()[0] for character in spelling if character.isalpha()}
    if len(scripts) > 1 and not scripts <= EAST_ASIAN:
        raise ValueError("has letters of more than one script")
    return spelling


def looks(name: str) -> str:
    """What a name looks like at a glance, however it is spelt: two that look alike have the same."""
    return BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", name).casefold()).translate(ALIKE)


def free_name(taken: Container[str]) -> str:
    """A name that looks like none of those that are taken. Numbered once all pairs are taken.

    Args:
        taken: their looks, see :func:`looks`.
    """
    pairs = [f"{first} {second}" for first, second in product(ADJECTIVES.split(), ANIMALS.split())]
    if left := [name for name in pairs if looks(name) not in taken]:
        return secrets.choice(left)
    return next(name for number in count(2) for pair in pairs if looks(name := f"{pair} {number}") not in taken)
