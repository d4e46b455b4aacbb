"""Pseudonyms of two plain words, such as "calm heron"."""

from __future__ import annotations

import secrets
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


def free_name(taken: Container[str]) -> str:
    """A name that nobody has. Numbered once all pairs are taken."""
    pairs = [f"{first} {second}" for first, second in product(ADJECTIVES.split(), ANIMALS.split())]
    if left := [name for name in pairs if name not in taken]:
        return secrets.choice(left)
    return next(name for number in count(2) for pair in pairs if (name := f"{pair} {number}") not in taken)
