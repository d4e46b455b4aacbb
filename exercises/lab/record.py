"""The record of a claim, as an output of a notebook's cell."""

CLAIM_TYPE = "application/scrapbook.scrap.json+json"
"""Its type. ``kit.claim`` writes it; the tests and the README's table of lessons read it."""
