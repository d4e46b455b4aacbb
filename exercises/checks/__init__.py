"""The checks, one module per lesson, used by notebook, terminal and grading alike."""
