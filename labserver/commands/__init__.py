"""Commands of ``labserver`` that need more than what ships, and are found by name where they are installed."""
