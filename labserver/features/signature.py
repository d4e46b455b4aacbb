"""What a model wants of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Signature:
    """The features that a model wants: by name, in the model's own order, each with the version of its definition.

    Attributes:
        features: pairs of a name and a version; see :attr:`Catalogue.versions`.
    """

    features: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, catalogue: Catalogue, names: Sequence[str] | None = None) -> Signature:
        """Of a model that was fitted on features of a catalogue: on ``names`` in this order, or on all.

        Raises:
            LabError: if the catalogue has no such feature.
        """
        wanted = catalogue.names if names is None else names
        return cls(tuple((catalogue[name].name, catalogue.versions[name]) for name in wanted))

    @classmethod
    def read(cls, entries: Iterable[Mapping[str, str]]) -> Signature:
        """From the form of :meth:`shown`."""
        return cls(tuple((entry["name"], entry["version"]) for entry in entries))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the model's order."""
        return tuple(name for name, _ in self.features)

    def shown(self) -> list[dict[str, str]]:
        """As manifest and interface have it."""
        return [{"name": name, "version": version} for name, version in self.features]

    def places(self, catalogue: Catalogue) -> NDArray[np.intp]:
        """Where each wanted feature is in a vector of the catalogue, shape (wanted,).

        Raises:
            LabError: if the catalogue lacks one, or defines it in another way; names all of them.
        """
        versions = catalogue.versions
        missing = [name for name in self.names if name not in versions]
        other = [
            f"{name} in version {version}, where the catalogue has {versions[name]}"
            for name, version in self.features
            if versions.get(name, version) != version
        ]
        if missing or other:
            wants = [f"{name}, which the catalogue lacks" for name in missing] + other
            raise LabError(
                f"The model does not fit the catalogue: it wants {'; '.join(wants)}. Serve it with the definitions it "
                "was trained on, or train it on these: `labserver build`."
            )
        number = {name: place for place, name in enumerate(catalogue.names)}
        return np.array([number[name] for name in self.names], np.intp)
