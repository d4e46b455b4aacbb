"""``lab``, and ``python -m exercises.lab``: handles Ctrl-C, then starts the command line."""

from __future__ import annotations

from labserver.interrupts import one_line
from labserver.search_path import leave_out_others


def main() -> None:
    """Run a command. Its imports take a while, and can be interrupted too."""
    leave_out_others()
    with one_line():
        from exercises.lab.cli import main as run

        run()


if __name__ == "__main__":
    main()
