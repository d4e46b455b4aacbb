"""The learner's HTTP client for the board: one request, within a time limit, to that address and no other."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from exercises.classroom.errors import Away, ClassroomError, RefusedByBoard

ANSWER_BYTES = 64 * 1024
"""Bytes of an answer that are read."""


def post(
    board: str, path: str, body: Mapping[str, Any], *, token: str = "", certificate: str = "", seconds: float
) -> dict[str, Any]:
    """POST JSON. No proxy, no redirects: the token goes nowhere else.

    Args:
        board: its address.
        path: on it.
        body: the document.
        token: the learner's; empty for none.
        certificate: PEM text of the certificate to trust; empty for those that the system trusts.
        seconds: for connecting, asking and reading together.

    Raises:
        Away: if there is no answer in time, or none that a board gives.
        RefusedByBoard: if the board rejects the request.
        ClassroomError: if the address is none.
    """
    connection = _connection(board, certificate, seconds)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    # The socket's time limit is per byte; a board that sends one now and then would block this for ever.
    over = threading.Timer(seconds, _cut, (connection,))
    over.daemon = True
    try:
        over.start()
    except RuntimeError:  # since Python 3.12 a program that ends may start no thread
        raise Away("The program ends.") from None
    try:
        connection.request("POST", urlsplit(board).path.rstrip("/") + path, json.dumps(body), headers)
        response = connection.getresponse()
        status, answer = response.status, json.loads(response.read(ANSWER_BYTES))
    except ssl.SSLError as error:
        said = getattr(error, "verify_message", "") or error
        raise Away(f"The board at {board} cannot be trusted: {said}. Give its own --certificate.") from None
    except (OSError, http.client.HTTPException) as error:
        raise Away(f"No board answers at {board} ({_said(error)}).") from None
    except ValueError:
        raise Away(f"What answers at {board} is no board.") from None
    finally:
        over.cancel()
        connection.close()
    if not isinstance(answer, dict):
        raise Away(f"What answers at {board} is no board.")
    if status >= 400:
        raise RefusedByBoard(status, str(answer.get("detail", ""))[:300] or f"The board refused ({status}).")
    return answer


def _connection(board: str, certificate: str, seconds: float) -> http.client.HTTPConnection:
    try:
        url = urlsplit(board)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query or url.fragment:
        raise ClassroomError(f"{board!r} is not the address of a board. It looks like http://192.0.2.7:8800")
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, port, timeout=seconds)
    try:
        context = ssl.create_default_context(cadata=certificate or None)
    except (ssl.SSLError, ValueError) as error:
        raise ClassroomError(f"The certificate cannot be read ({error}). Give a PEM file.") from None
    return http.client.HTTPSConnection(url.hostname, port, timeout=seconds, context=context)


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # closed meanwhile
        connection.sock.shutdown(socket.SHUT_RDWR)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError | http.client.HTTPException):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
