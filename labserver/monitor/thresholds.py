"""The numbers of monitoring that are the same for every feature, and their source. Thresholds of a feature's own are in
the bundle: see ``labserver.pipeline.alarms``.
"""

from __future__ import annotations

from datetime import timedelta

DECISIONS_CHANGED = 0.05
"""Share of decisions that depend on a suspicious feature, from which on its alert is a page: one in twenty flights is
warned of, or not, for the wrong reason. A policy, not a measurement."""

ROWS_FOR_SHARE = 50
"""Predictions of a day before a share of them is judged."""

ROWS_FOR_DRIFT = 300
"""Predictions of a day before a distance is judged."""

NOISE = 3.0
"""Standard errors by which chance may move the mean of fewer predictions than training's days had."""

NOISE_OF_ODDS = 3.3
"""The same for the log odds of a bin: with a share of a tenth they vary 1 / sqrt(0.1 x 0.9) times as much."""

QUALITY_WINDOW = 5_000
"""Outcomes that the rolling figures are taken over: about five days of flights. Fewer are shown and not judged: two
days of storms alone are off by 0.2."""

QUALITY_SEARCH = 30_000
"""Predictions that are searched for them, newest first."""

QUALITY_LEAST = 1_000
"""Outcomes that are needed before the rolling figures are shown."""

AUC_LEAST = 0.6
BRIER_MOST = 0.22
CALIBRATION_MOST = 0.11
"""The worst five days of the training months have 0.65, 0.20 and 0.10. The storms of December 2013 have 0.25 and 0.15:
the model is wrong then, and says so for ten days."""

JOIN_RATIO_LEAST = 0.5
"""Of the predictions whose flight must have landed, the share that has an outcome."""

JOIN_LEAST = 500
"""Predictions that are due before their share is judged."""

LANDED_AFTER = timedelta(hours=12)
"""After the scheduled departure; no flight of the data takes longer."""
