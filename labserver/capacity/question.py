"""The request that every measurement sends: one real flight, late enough in the year for any clock."""

from __future__ import annotations

import json

PATH = "/v1/predictions"

BODY = json.dumps(
    {
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "dest": "ORD",
        "tailnum": "N14228",
        "scheduled_departure": "2013-12-30T17:30:00-05:00",
    }
)
