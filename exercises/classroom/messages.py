"""The messages to a board, with limits on their size and number. Everything else is rejected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from exercises.classroom.pseudonyms import spelt

MOST_LEARNERS = 1_000
POSTS_EACH = 2_000
MOST_POSTS = 500_000
"""In all: about 100 MB."""
POSTS_AT_ONCE = 50
BODY_BYTES = 64 * 1024
"""Bytes of a request's body."""
NAME_PATTERN = r"^\w[\w .'\-]{1,29}$"
TITLE_LENGTH = 200
"""Characters of the title of a check."""

PostedState = Literal["not attempted", "not yet", "solved"]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be shown")
    return text


class BoardMessage(BaseModel):
    """Exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Join(BoardMessage):
    """A request to join. The learner's side makes the token, so that the same request can be sent twice."""

    code: Annotated[str, Field(max_length=40)]
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    name: Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(spelt)] | None = None


class Post(BoardMessage):
    """The result of one check.

    Attributes:
        id: made by the learner's side; a post that comes again is counted once.
        lesson: 0 to 9.
        state: the result.
        attempts: checks of the edited file since the learner joined, this one included.
        failing: the title of the first check that failed; empty if none did.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    lesson: Annotated[int, Field(ge=0, le=9)]
    state: PostedState
    attempts: Annotated[int, Field(ge=0, le=100_000)]
    failing: Annotated[str, Field(max_length=TITLE_LENGTH), AfterValidator(_printable)] = ""


class Posts(BoardMessage):
    """The newest result, and those that a board which was away has not got yet. In the order of the checks."""

    posts: Annotated[list[Post], Field(min_length=1, max_length=POSTS_AT_ONCE)]
