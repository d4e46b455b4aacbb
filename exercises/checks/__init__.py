"""The checks, one module a lesson, behind notebook, terminal and grading alike."""
