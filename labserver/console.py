"""The console for progress and errors of commands: standard error, since standard output is for results."""

from rich.console import Console

console = Console(stderr=True, highlight=False)
