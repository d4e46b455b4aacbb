"""What the model sees: one catalogue for training, serving, validation, API schema and monitoring."""

from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.flight import Flight

__all__ = ["Catalogue", "Feature", "Flight", "Group", "Range"]
