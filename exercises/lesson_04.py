"""Exercise 4: possible and impossible values, and what to do about them.

Eight features have lost their ranges. Write down what is possible for each, in its unit, and the policy:

- A client sends something impossible: reject it with ``Refused``. Say which field, and what is allowed.
- Our own source delivers something impossible: make it a gap (NaN). Imputation then fills it.
- A value is possible, but training never saw it: clip it to the nearest that training saw.

Possible is not what training saw: from January to August 2013 there was no hurricane. Nor is it whatever the planet has
seen: a range that is too wide lets mistakes of units through. Ask what can be at New York's three airports, and which
mistakes clients make: shares for per cent, kilometres for miles, seconds for minutes, hundredths of an inch for
inches, -1 for unknown.

What training saw:

    humidity       12.7 to 100 %         plane_seats     2 to 450 seats
    wind_speed     0 to 42.6 mph         plane_age       0 to 57 years
    precipitation  0 to 1.21 in/h        origin_delay    -9 to 292 min, a mean of 20 departures
    pressure       984 to 1038 hPa       visibility      0 to 10 mi, where the instrument ends

Hundreds of good and of corrupted requests go to the running service. At least 95 % of the corrupted ones must be
refused, and at most 0.1 % of the good ones, among which are a storm, an A380 and a flight of an old plane.

In a service of your own these ranges are in the catalogue, where training, the API document and the monitor read them
too. Here they are in your file, because a different catalogue needs a new build.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue, Range
from labserver.parts import Context

POSSIBLE = {
    "humidity": Range(-inf, inf),
    "wind_speed": Range(-inf, inf),
    "precipitation": Range(-inf, inf),
    "pressure": Range(-inf, inf),
    "visibility": Range(-inf, inf),
    "plane_seats": Range(-inf, inf),
    "plane_age": Range(-inf, inf),
    "origin_delay": Range(-inf, inf),
}


class OwnRanges:
    """Your ranges where you give one, the catalogue's for the other features."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.possible = {feature.name: POSSIBLE.get(feature.name, feature.possible) for feature in catalogue.features}
        seen = [feature.trained.seen if feature.trained else Range(-inf, inf) for feature in catalogue.features]
        self.low = np.array([possible.low for possible in self.possible.values()], np.float32)
        self.high = np.array([possible.high for possible in self.possible.values()], np.float32)
        self.seen_low = np.array([each.low for each in seen], np.float32)
        self.seen_high = np.array([each.high for each in seen], np.float32)

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Values of shape (rows, features), in catalogue order, from our own sources and from clients. In place."""
        raise NotImplementedError("make the impossible a gap, and clip what training never saw")

    def check_override(self, name: str, value: float) -> None:
        """A value that a client sends.

        Raises:
            Refused: if it cannot be, with the field (``overrides.`` and the name), what is wrong, and what is allowed.
        """
        raise NotImplementedError("refuse what cannot be")


def ranges(context: Context) -> OwnRanges:
    """The part."""
    return OwnRanges(context.catalogue)
