"""A model service, built step by step over ten lessons on putting models into production."""

__version__ = "0.1.0"
