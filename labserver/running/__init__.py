"""Starts a service, finds it, calls it, waits for it. Does not ship."""
