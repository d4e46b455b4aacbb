"""Reads a Containerfile: its instructions and stages, and the instructions that make the image.

The format is that of https://docs.docker.com/reference/dockerfile/. Nothing is built or fetched here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from labserver.errors import LabError

KEYWORDS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")
_HERE_DOCUMENT = re.compile(r"<<-?\s*([\"']?)(\w+)\1")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        line: number of its first line, from 1.
        keyword: in capitals.
        flags: such as ``{"from": "builder"}`` of ``COPY --from=builder``.
        value: what follows, its continued lines joined by blanks, a here-document's by newlines.
    """

    line: int
    keyword: str
    flags: dict[str, str]
    value: str

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON list, or None if a shell would read the line."""
        try:
            words = json.loads(self.value)
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    @property
    def words(self) -> list[str]:
        """As a list in either form; quotes are taken off."""
        words = self.exec_form
        return words if words is not None else _split(self.value)

    @property
    def commands(self) -> list[list[str]]:
        """The commands that a shell would run, each a list of words: split at ``&&``, ``||``, ``;``, ``|``, newline."""
        if (words := self.exec_form) is not None:
            return [words]
        return [words for part in re.split(r"&&|\|\||[;|\n]", self.value) if (words := _split(part))]


@dataclass(slots=True)
class Stage:
    """A stage: the instructions from one FROM to the next."""

    start: Instruction
    base: str
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Containerfile:
    """All stages, in order; the last one makes the image."""

    stages: list[Stage]

    @property
    def final(self) -> Stage:
        return self.stages[-1]

    def stage(self, name: str) -> Stage | None:
        """The stage of this name or number, None if it is an image or another build context."""
        for number, stage in enumerate(self.stages):
            if name.lower() in ((stage.name or "").lower(), str(number)):
                return stage
        return None

    def image(self) -> list[Instruction]:
        """The instructions that make the image: those of the final stage, after those of the stages it continues."""
        return list(self._with_bases(self.final))

    def shipped(self) -> list[Instruction]:
        """As :meth:`image`, after those of the stages that it copies from: their packages can be in the image."""
        own = self.image()
        names = [instruction.flags["from"] for instruction in own if "from" in instruction.flags]
        sources = [stage for name in dict.fromkeys(names) if (stage := self.stage(name))]
        return [instruction for stage in sources for instruction in self._with_bases(stage)] + own

    def last(self, keyword: str) -> Instruction | None:
        """The active instruction: of USER, ENTRYPOINT and similar ones the last one counts."""
        found = [instruction for instruction in self.image() if instruction.keyword == keyword]
        return found[-1] if found else None

    def _with_bases(self, stage: Stage) -> Iterator[Instruction]:
        base = self.stage(stage.base)
        if base is not None and base is not stage:
            yield from self._with_bases(base)
        yield from stage.instructions


def parse(text: str) -> Containerfile:
    """Read a Containerfile. A base that is an ARG is replaced by that ARG's default.

    Raises:
        LabError: if it is none; names the line.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            stages.append(_stage(instruction, arguments))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            name, _, default = instruction.value.partition("=")
            arguments[name] = default.strip("\"'")
        else:
            raise LabError(f"line {instruction.line}: {instruction.keyword} before FROM. Only ARG may come before it.")
    if not stages:
        raise LabError("There is no FROM: a Containerfile says first which image it builds on.")
    return Containerfile(stages)


def _stage(start: Instruction, arguments: dict[str, str]) -> Stage:
    base, *rest = _expand(start.value, arguments).split() or [""]
    if not base or (rest and (len(rest) != 2 or rest[0].upper() != "AS")):
        raise LabError(f"line {start.line}: write FROM as `FROM image` or `FROM image AS name`.")
    return Stage(start, base, rest[1] if rest else None)


def _expand(value: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: arguments.get(found.group(1), found.group(0)), value)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        keyword, _, value = _joined(line, lines).strip().partition(" ")
        if keyword.upper() not in KEYWORDS:
            raise LabError(f"line {number}: {keyword!r} is no instruction. They are: {', '.join(sorted(KEYWORDS))}.")
        flags, value = _flags(value.strip())
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            value = "\n".join([value, *_here_documents(value, lines)])
        yield Instruction(number, keyword.upper(), flags, value)


def _joined(line: str, lines: Iterator[tuple[int, str]]) -> str:
    """A line with those that continue it. Comments and empty lines between them are dropped, as the engines do."""
    parts: list[str] = []
    while True:
        stripped = line.strip()
        if stripped and not (parts and stripped.startswith("#")):
            parts.append(stripped.removesuffix("\\").strip())
            if not stripped.endswith("\\"):
                break
        try:
            _, line = next(lines)
        except StopIteration:
            break
    return " ".join(parts)


def _flags(value: str) -> tuple[dict[str, str], str]:
    flags: dict[str, str] = {}
    while found := _FLAG.match(value):
        flags[found.group(1)] = found.group(2) or ""
        value = value[found.end() :]
    return flags, value


def _here_documents(value: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for found in _HERE_DOCUMENT.finditer(value):
        for _, line in lines:
            if line.strip() == found.group(2):
                break
            yield line


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that another part closes
        return text.split()
