"""What the lessons replace. Each piece runs, and each fails the way real services fail. Only ``stages.py`` uses it."""
