"""Every setting of the service, read from the environment (prefix ``LABSERVER_``), with its default and unit."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from labserver.errors import LabError

FINISHED_STAGE = 9
DEFAULT_PORT = 8000
ROOT = Path(__file__).resolve().parent.parent
"""The folder of the course, if this package runs from a checkout of it."""


class Settings(BaseSettings):
    """All settings: addresses, folders, limits and costs."""

    model_config = SettingsConfigDict(env_prefix="LABSERVER_", frozen=True)

    home: Annotated[Path, Field(validate_default=True)] = Path("var")
    """Folder of everything built and stored. A relative path starts at the course's folder, wherever a command runs."""
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Address of the running service, for commands that call it. If left out, they use the service of `lab start`."""
    host: str = "127.0.0.1"
    """Address to listen on. Teaching stages take loopback only."""
    hosts: str = ""
    """Names, separated by commas or blanks, under which a service on loopback without a key may be asked, besides
    localhost and loopback addresses; ``*`` for any, behind a proxy of one's own."""
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    """Port to listen on; 0 for any free one."""
    lesson: Annotated[int, Field(ge=0, le=FINISHED_STAGE)] = FINISHED_STAGE
    """The stage to run: 9 is the finished service."""
    parts: Path | None = None
    """A file or folder of parts that replace the shipped ones."""
    model_store: str | None = None
    """Address from which the stages below 6 fetch their model at each start. From stage 6 on it is in the build."""
    api_key: SecretStr | None = None
    """If set, every call except the health checks and the page's own files must carry it as ``X-API-Key``."""
    max_body_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024
    """Bytes of the longest body; a longer one is rejected with 413."""
    request_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Time limit of a request, from its headers to the end of its answer."""
    keep_alive_seconds: Annotated[int, Field(ge=1)] = 75
    """Time that a connection waits for its next request. Longer than a balancer keeps one (60 s is usual): a request
    that is sent while the service closes the connection is lost."""
    drain_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Time after SIGTERM in which the service answers and reports "not ready", so that balancers turn elsewhere."""
    shutdown_seconds: Annotated[int, Field(ge=0)] = 10
    """Time limit of the requests in flight once the service no longer listens."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of the model's arithmetic, per worker, from lesson 7 on."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Concurrent requests per worker, from lesson 7 on; requests beyond that get 503 at once."""
    cost_false_alarm: Annotated[float, Field(gt=0)] = 1.0
    """Cost of a warning for a flight that is on time. See ``cost_missed_delay``."""
    cost_missed_delay: Annotated[float, Field(gt=0)] = 3.0
    """Cost of a late flight without a warning, in the same unit as the other: only their ratio matters."""
    prediction_log_megabytes: Annotated[int, Field(ge=1)] = 256
    """Size in megabytes at which the oldest predictions are dropped from the log; one holds about 4,000 predictions."""
    prediction_log_days: Annotated[float, Field(gt=0)] = 30.0
    """Predictions older than this many days are dropped from the log. Time in which no service ran does not count."""
    outcome_days: Annotated[float, Field(gt=0)] = 90.0
    """Outcomes are deleted this many days after they arrived: long after the predictions that they belong to."""
    signing_key: Path | None = None
    """A PEM file with an Ed25519 private key. If set, `labserver build` signs its bundle."""
    public_key: Path | None = None
    """A PEM file with Ed25519 public keys, one or more. If set, a bundle that none of them has signed is refused."""
    operator: Annotated[str, Field(max_length=100)] = ""
    """Who runs a command that changes the bundles, for the registry; if left out, the login name."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """The least important lines that are logged."""

    @field_validator("port", mode="before")
    @classmethod
    def _not_of_kubernetes(cls, port: object) -> object:
        """The default, where Kubernetes has put the address of a Service that is named ``labserver``."""
        if isinstance(port, str) and "://" in port:
            print(
                f"LABSERVER_PORT={port} is an address that Kubernetes sets for a Service named labserver; the default "
                "port is used. `enableServiceLinks: false` in the pod's manifest leaves it out.",
                file=sys.stderr,
            )
            return DEFAULT_PORT
        return port

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr | None) -> SecretStr | None:
        """Refuse what nobody meant as a key: an unset variable in a manifest arrives as an empty one."""
        text = key.get_secret_value() if key is not None else None  # an empty one is false
        if text is not None and (not text.isascii() or not text.isprintable() or text != text.strip() or not text):
            raise ValueError("a key is printable ASCII without blanks at its ends, and not empty; unset it for no key")
        return key

    @field_validator("home")
    @classmethod
    def _in_the_course(cls, home: Path) -> Path:
        """The same home from every working folder. In an installed package, without a course, the path is unchanged."""
        return ROOT / home if (ROOT / "pyproject.toml").exists() else home

    @property
    def warehouse(self) -> Path:
        """The DuckDB file made from the sources."""
        return self.home / "warehouse.duckdb"

    @property
    def bundle(self) -> Path:
        """A link to the active bundle."""
        return self.home / "bundle"

    @property
    def teaching(self) -> Path:
        """Files that only the stages below 8 read."""
        return self.home / "teaching"

    @property
    def experiment(self) -> Path:
        """The pickled experiment that the stages below 8 predict with."""
        return self.teaching / "experiment.pkl"

    @property
    def state(self) -> Path:
        """The only folder a running service writes to."""
        return self.home / "state"

    def online_store(self, features_version: str) -> Path:
        """The store of the catalogue of that version. Each version has its own, so that a build of other features harms
        no service that is running. Bundles of one version hold the same values, so a new model changes no store.
        """
        return self.state / f"online-{features_version[:16]}.db"

    @property
    def prediction_log(self) -> Path:
        return self.state / "predictions.db"

    @property
    def outcomes(self) -> Path:
        return self.state / "outcomes.db"

    @property
    def progress(self) -> Path:
        """A learner's progress in the exercises; ``lab check`` writes it, the page shows it."""
        return self.home / "progress.json"


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        LabError: if a variable does not parse; names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "LABSERVER_" + "_".join(str(part) for part in first["loc"]).upper()
        shown = "" if name == "LABSERVER_API_KEY" else f"={first.get('input')!r}"
        raise LabError(f"{name}{shown} is not usable: {first['msg']}.") from None
