"""Errors in the midst of a stream that are no event of its protocol, as proxies and providers have sent them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.harness.provider.wire import sse

if TYPE_CHECKING:
    from tests.harness.provider.wire import Wire

_PAGE = """\
<html>
<head><title>429 Too Many Requests</title></head>
<body><center><h1>429 Too Many Requests</h1></center></body>
</html>
"""


def error(shape: str, wire: Wire, status: int, frame: bytes) -> bytes:
    """*frame* is the event that would have come in its place."""
    failure = wire.failure(status)
    if shape == "pretty":
        return json.dumps(failure, indent=2).encode() + b"\n\n"
    if shape == "array":
        return json.dumps([failure], indent=2).encode() + b"\n\n"
    if shape == "open_array":
        return json.dumps([failure], indent=2).encode().rstrip(b"]\n")
    if shape == "html":
        return _PAGE.encode()
    if shape == "cut":
        return frame[: len(frame) * 2 // 3]
    if shape == "words":
        return sse({"error": {"message": f"scripted {status}", "type": "rate_limit_exceeded", "code": None}})
    raise ValueError(f"no such error: {shape}")
