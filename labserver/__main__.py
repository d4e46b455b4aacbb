"""``labserver``, and ``python -m labserver``: the command line, once Ctrl-C is taken care of."""

from __future__ import annotations

from labserver.interrupts import one_line


def main() -> None:
    """Run a command. Its imports take a while, and can be interrupted too."""
    with one_line():
        from labserver.cli import main as run

        run()


if __name__ == "__main__":
    main()
