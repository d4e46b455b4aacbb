"""Measures throughput, latency, memory and start-up of the service."""
