"""From a probability to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from labserver.settings import Settings

Decision = Literal["warn", "no_warning"]


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """Warn where staying silent is expected to cost more: probability times the cost of a missed delay against the
    rest times the cost of a false alarm.

    Source: Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.
    """

    false_alarm: float
    missed_delay: float

    @classmethod
    def from_settings(cls, settings: Settings) -> ExpectedCost:
        return cls(settings.cost_false_alarm, settings.cost_missed_delay)

    @property
    def threshold(self) -> float:
        """The probability at which both cost the same."""
        return self.false_alarm / (self.false_alarm + self.missed_delay)

    def decide(self, probability: float) -> Decision:
        """``"warn"`` above the threshold."""
        return "warn" if probability > self.threshold else "no_warning"
