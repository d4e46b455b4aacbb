"""Runs the programs of a set-up: with a clean environment and progress messages, ended when this process ends."""

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from exercises.lab.set_up.environment import ROOT
from exercises.lab.set_up.failures import CERTIFICATE, CommandFailed

SILENCE_SECONDS = 1.0 if sys.stdout.isatty() else 4.0
"""Seconds between progress messages: on a terminal a line that changes, in a log a new one."""

FOREIGN_VARIABLES = re.compile("PIP_|UV_|PYTHON|CONDA_|VIRTUAL_ENV|__PYVENV")
"""Variables of other environments, and settings of pip and uv that say where packages go, such as PIP_USER."""

SOURCE_VARIABLES = re.compile(
    "(PIP|UV)_.*(INDEX|FIND_LINKS|CERT|TLS|PROXY|HOST|KEYRING|TIMEOUT|RETR|CACHE|CONFIG|OFFLINE|CONCURRENT|LINK_MODE)"
)
"""Of these, settings that say where packages come from. They are kept."""

TRUST_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "UV_SYSTEM_CERTS")


class Progress:
    """Prints the present step and, while it lasts, that it goes on."""

    def __init__(self) -> None:
        self.began = self.said = time.monotonic()

    def step(self, title: str) -> None:
        self.began = self.said = time.monotonic()
        print(title, flush=True)

    def tick(self, doing: str) -> None:
        """Print a message if it is time; call this at least once a second."""
        now = time.monotonic()
        if now - self.said < SILENCE_SECONDS:
            return
        self.said = now
        line = f"    {now - self.began:.0f} s  {doing}".rstrip()
        if sys.stdout.isatty():
            print("\r\033[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
        else:
            print(line, flush=True)

    def clear(self) -> None:
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


class Commands:
    """Runs programs without the variables that the user's shell has set for other environments.

    Args:
        lock: open in every program too, so a program that outlives a killed set-up still holds it.
        progress: prints that they go on.
    """

    def __init__(self, lock: int, progress: Progress) -> None:
        self.lock, self.progress = lock, progress
        self.variables = {
            name: value
            for name, value in os.environ.items()
            if SOURCE_VARIABLES.match(name) or not FOREIGN_VARIABLES.match(name)
        }

    def run(self, *command: str, doing: str = "") -> None:
        """Run a command to its end. If this function ends early, so does the command, with all that it started.

        Args:
            command: the program and its arguments.
            doing: its step, until its output names one.

        Raises:
            CommandFailed: with its output.
        """
        process = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self.lock],
        )
        lines = []  # type: list[str]
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    self.progress.tick(_doing(lines) or doing)
        finally:
            _end(process)
            self.progress.clear()
            reader.join(timeout=5)
            if process.stdout and not reader.is_alive():  # else a process that was left behind still holds the pipe
                process.stdout.close()
        if process.returncode:
            code = process.returncode
            how = f"exit code {code}" if code > 0 else f"signal {-code}; is the memory full?"
            raise CommandFailed("\n".join([*lines, f"{' '.join(command[:5])} failed ({how})."]))

    def download(self, *command: str, doing: str = "") -> None:
        """Run a command. If it does not trust a certificate, run it again with each list that the system trusts.

        A list that the user has set stays. One that has helped is used for later commands too.

        Raises:
            CommandFailed: with its output.
        """
        before, own = self.variables, [name for name in TRUST_VARIABLES if name in os.environ]
        for bundle in ("", *bundles()):
            trust = {"PIP_CERT": bundle, "SSL_CERT_FILE": bundle, "UV_SYSTEM_CERTS": "1"} if bundle else {}
            self.variables = {**before, **{name: value for name, value in trust.items() if name not in own}}
            try:
                return self.run(*command, doing=doing)
            except CommandFailed as failed:
                last = failed
                if not re.search(CERTIFICATE, str(failed)):
                    break
        raise last


def bundles() -> "list[str]":
    """Files with the certificates that this system trusts, the user's own first."""
    named = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    python = ssl.get_default_verify_paths()
    places = [*map(os.environ.get, named), python.cafile, python.openssl_cafile]
    places += ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]  # Debian, Fedora
    places += ["/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"]  # openSUSE, Alpine
    found = {}  # type: dict[Path, str]
    for place in places:
        if place and Path(place).is_file():
            found.setdefault(Path(place).resolve(), place)
    return list(found.values())


def _read(stream: "IO[bytes]", lines: "list[str]") -> None:
    for line in stream:
        lines.append(line.decode(errors="replace").rstrip())


def _doing(lines: "list[str]") -> str:
    """A program's present step, from the last line of its output that names one."""
    for line in reversed(lines):
        if line.startswith("Installed "):
            return "byte-compiling"
        if re.match(r"\s*(Resolved|Prepared|(Download|Build)(ing|ed)|Built)\b", line):
            return line.strip()
    return ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and what it has started, if it runs. What it started may outlive it for a moment."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
