"""The model store of lesson 6: a file over HTTP, no faster than the network in between, and gone when it is stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()

FILE = Path(os.environ["FILE"])
BYTES_PER_SECOND = float(os.environ["BYTES_PER_SECOND"])
PIECE = 256 * 1024

total = {"bytes": 0, "seconds": 0.0}


@app.get("/model")
def model() -> StreamingResponse:
    """What lies in the file now. Nobody says who put it there."""
    return StreamingResponse(pieces(), media_type="application/octet-stream")


@app.get("/given")
def given() -> dict[str, float]:
    """Bytes given so far, to everybody together, and the seconds that it took."""
    return total


def pieces() -> Iterator[bytes]:
    started, sent, before = time.perf_counter(), 0, total["seconds"]
    with FILE.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            sent += len(piece)
            total["bytes"] += len(piece)
            time.sleep(max(0.0, started + sent / BYTES_PER_SECOND - time.perf_counter()))
            total["seconds"] = before + time.perf_counter() - started
