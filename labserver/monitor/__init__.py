"""Monitoring of the model: inputs, drift, the prediction log, outcomes, quality and alerts."""
