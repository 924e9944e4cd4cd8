"""How clients name a connection that broke, and one that was never made: by the names of their exceptions.

LiteLLM has httpx, aiohttp and botocore as its clients, and wraps what they raise: none of them is imported here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEVER_MADE = (
    *("ConnectError", "ConnectTimeout", "ConnectTimeoutError", "ConnectionTimeoutError", "ConnectionRefusedError"),
    *("ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorSSLError", "ClientConnectorCertificateError"),
    *("gaierror", "SSLError", "SSLCertVerificationError", "EndpointConnectionError"),
)
# LiteLLM's own is what it makes of everything that it has no name for (1.80 - 1.110, exception_mapping_utils.py), and
# openai's is always raised from a client's.
_WRAPPED = "APIConnectionError"
# The ends of their names.
_BROKEN = (
    *("ReadError", "WriteError", "ConnectError", "ProtocolError", "ConnectionError", "ConnectionResetError"),
    *("BrokenPipeError", "ClientPayloadError", "IncompleteRead", "ServerDisconnectedError", "ClientOSError"),
    *("BadHttpMessage", *_NEVER_MADE),
)
# Their sentences, where LiteLLM has kept nothing else: of Gemini's streams its router does (1.103 - 1.110).
_SAYS_NEVER_MADE = re.compile(
    r"Cannot connect to host|Connect call failed|All connection attempts failed|Name or service not known"
    r"|Connection refused|CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER"
)
_SAYS_BROKEN = re.compile(
    r"Connection reset by peer|Server disconnected|peer closed connection|incomplete chunked read|Broken pipe"
    r"|Response payload is not completed"
)
_SEEN = 1000


def says(text: str) -> str:
    """Return which of them a client's *text* tells of: `never made`, `broken`, or neither."""
    seen = text[:_SEEN]
    return "never made" if _SAYS_NEVER_MADE.search(seen) else "broken" if _SAYS_BROKEN.search(seen) else ""


def is_of_a_connection(error: BaseException) -> bool:
    """Tell whether *error* is a connection's own: no provider has said anything by it."""
    return any(name.endswith(_BROKEN) for name in class_names(error))


def is_of_a_client(error: BaseException) -> bool:
    """Tell whether *error* is what a client has raised of its connection, and no wrapper around that or another."""
    return any(name.endswith(_BROKEN) and name != _WRAPPED for name in class_names(error))


def was_never_made(chain: Sequence[BaseException]) -> bool:
    """Tell whether a *chain* of errors is of a connection that could not be made: refused, no name, no certificate.

    LiteLLM 1.83 makes a ConnectError also of the end of one that was made (custom_httpx/aiohttp_transport.py).
    """
    was_made = any(type(link).__name__ == "ClientOSError" for link in chain)
    return not was_made and any(name in _NEVER_MADE for link in chain for name in class_names(link))


def class_names(error: BaseException) -> list[str]:
    """Return the names of the classes of *error*, its own first."""
    return [kind.__name__ for kind in type(error).__mro__]
