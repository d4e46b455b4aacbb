"""The universal scalability law, and Little's law.

Neil J. Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4: the throughput of N concurrent users is

    X(N) = lambda * N / (1 + sigma * (N - 1) + kappa * N * (N - 1))

where lambda is the throughput of one user, sigma the share of the work that must be serial (contention),
and kappa the cost of every pair that must agree (coherency), which makes throughput fall again beyond a peak.

John D. C. Little, "A Proof for the Queuing Formula: L = lambda W", Operations Research 9(3), 1961: in any stable system
the mean number inside is the throughput times the mean time inside, N = X * R.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError

NEGLIGIBLE = 1e-3
"""A kappa that lowers the highest throughput by less than this share is indistinguishable from 0."""


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law.

    Attributes:
        rate: lambda, requests/s of one user alone.
        contention: sigma, from 0 to 1.
        coherency: kappa, not negative.
    """

    rate: float
    contention: float
    coherency: float

    def throughput(self, users: float) -> float:
        """X(N), requests/s."""
        return float(_law(np.float64(users), self.rate, self.contention, self.coherency))

    def response_seconds(self, users: float) -> float:
        """R(N) = N / X(N), by Little's law: the mean response time of ``users`` who ask without a pause."""
        return users / self.throughput(users)

    @property
    def peak_users(self) -> float:
        """The concurrency beyond which throughput falls, sqrt((1 - sigma) / kappa); infinite if it never falls."""
        if self.coherency == 0:
            return math.inf
        return max(1.0, math.sqrt((1 - self.contention) / self.coherency))

    @property
    def peak(self) -> float:
        """The highest throughput of the law, requests/s; infinite without contention and coherency."""
        if math.isfinite(self.peak_users):
            return self.throughput(self.peak_users)
        return self.rate / self.contention if self.contention else math.inf


def fit(users: Sequence[float], throughput: Sequence[float]) -> Law:
    """Fit the law to throughputs (requests/s) measured at several concurrencies, by least squares of relative errors.

    Raises:
        LabError: for fewer than three different concurrencies, or a throughput that is not positive.
    """
    if len(set(users)) < 3:
        raise LabError(f"The law has three parameters: measure at three concurrencies or more, not {len(set(users))}.")
    if min(throughput) <= 0:
        raise LabError("A throughput of 0 requests/s cannot be fitted: nothing was answered.")
    from scipy.optimize import curve_fit

    n, x = np.array(users, float), np.array(throughput, float)
    scale = x.max()
    start = (x[0] / n[0] / scale, 0.1, 0.001)
    bounds = ([0.0, 0.0, 0.0], [np.inf, 1.0, np.inf])
    found, _ = curve_fit(_law, n, x / scale, p0=start, sigma=x / scale, bounds=bounds, max_nfev=10_000)
    rate, contention, coherency = found.tolist()
    if coherency * n.max() ** 2 < NEGLIGIBLE:
        coherency = 0.0
    return Law(rate * scale, contention, coherency)


def little(throughput: float, response_seconds: float) -> float:
    """N = X * R: the mean number of requests inside."""
    return throughput * response_seconds


def _law(n: NDArray[np.float64] | np.float64, rate: float, contention: float, coherency: float) -> NDArray[np.float64]:
    return np.asarray(rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1)))
