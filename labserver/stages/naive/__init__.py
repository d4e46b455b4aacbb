"""What the lessons replace. Each piece runs, and each fails the way real services fail. The contents page names it."""
