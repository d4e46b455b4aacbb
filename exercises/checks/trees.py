"""The fitted model as plain arrays, for exercise 8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.features.signature import Signature
from labserver.parts import Context
from labserver.stages.naive.loading import verified_experiment

LEAF = -1
"""In place of a child where there is none."""


@dataclass(frozen=True)
class Trees:
    """All trees in one table, one entry per node. The nodes of a tree are adjacent.

    Attributes:
        roots: shape (trees,), intp: the number of each tree's root.
        feature: shape (nodes,), intp: the column of the vector that the node looks at.
        threshold: shape (nodes,), float64: a value that is not above it goes left.
        left: shape (nodes,), intp: the number of the node that comes next then; ``LEAF`` at a leaf.
        right: the same for a value above the threshold.
        value: shape (nodes,), float64: what a leaf adds to the log-odds of a late arrival.
        baseline: the log-odds to which the leaves are added.
        signature: the features that the model wants; ``feature`` counts these, in this order.
    """

    roots: NDArray[np.intp]
    feature: NDArray[np.intp]
    threshold: NDArray[np.float64]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    value: NDArray[np.float64]
    baseline: float
    signature: Signature


def fitted_trees(context: Context) -> Trees:
    """The trees of the model that the bundle was exported from. Takes seconds: once, at start.

    It splits on numbers only, and vectors are complete, so a threshold is all that a node needs.

    Raises:
        Damaged: if the experiment is not the one that was built with the bundle.
    """
    return trees_of(verified_experiment(context)["model"], context.bundle.signature)


def trees_of(model: HistGradientBoostingClassifier, signature: Signature) -> Trees:
    """The trees of a fitted model that has no categories and saw no gaps."""
    tables = [tree[0].nodes for tree in model._predictors]
    roots = np.cumsum([0, *(len(table) for table in tables[:-1])]).astype(np.intp)

    def column(name: str) -> NDArray[np.generic]:
        return np.concatenate([table[name] for table in tables])

    def child(name: str) -> NDArray[np.intp]:
        pairs = zip(tables, roots, strict=True)
        numbers = np.concatenate([table[name].astype(np.intp) + root for table, root in pairs])
        return np.where(column("is_leaf").astype(bool), LEAF, numbers)

    return Trees(
        roots=roots,
        feature=column("feature_idx").astype(np.intp),
        threshold=column("num_threshold").astype(np.float64),
        left=child("left"),
        right=child("right"),
        value=column("value").astype(np.float64),
        baseline=float(model._baseline_prediction[0, 0]),
        signature=signature,
    )
