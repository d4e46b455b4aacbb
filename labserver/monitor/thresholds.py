"""Every threshold of monitoring, and its source. The rules for Prometheus repeat them; a test keeps both equal.

All were set on the data of 2013: the months of training raise no alert, and neither do the ordinary days of the months
that training never saw.
"""

from __future__ import annotations

from datetime import timedelta

OUT_OF_RANGE_SHARE = 0.05
"""Share of a day's values that are impossible. No season makes a value impossible: the worst day has 0.036, from the
one record of 1048 mph. Visibility in kilometres makes 0.06 of the foggiest day's values impossible, and 1 of most."""

DRIFT_MARGIN = 1.5
"""Allowed ratio of a PSI to that of training's own worst day or month."""

DRIFT_LEAST = 0.25
"""Lowest threshold of a PSI, the rule of thumb for "a lot"."""

MISSING_MARGIN = 2.0
MISSING_LEAST = 0.2
MISSING_MOST = 0.95
"""The same for the share of a day's values that are missing, against all but the worst hundredth of training's days. On
9 February, the day after a blizzard, 36 % of the planes were unknown; 17 % is usual."""

ROWS_FOR_SHARE = 50
"""Predictions of a day before a share of them is judged."""

ROWS_FOR_DRIFT = 300
"""Predictions of a day before its PSI is judged: chance alone then gives 9 / 300 = 0.03."""

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
