# ruff: noqa: INP001, T201 - a script beside the findings, in no package
"""Raw HTTP clients for the findings about reverse proxies: what a client reads, and whether its leaving is noticed."""

from __future__ import annotations

import os
import pathlib
import socket
import sys
import time

REQUEST = b"POST /%s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def ask(port: str, name: str) -> socket.socket:
    """Send a request; the caller reads."""
    client = socket.create_connection(("127.0.0.1", int(port)), timeout=6)
    client.sendall(REQUEST % name.encode())
    return client


def ending(port: str) -> str:
    """How the stream "cut" ends for a client: whole, or cut."""
    client, read = ask(port, "cut"), b""
    client.settimeout(2)
    try:
        while more := client.recv(65536):
            read += more
            head, _, rest = read.partition(b"\r\n\r\n")
            if rest.endswith(b"\r\n0\r\n\r\n"):
                return "200, whole (last chunk)"
            if b"ontent-" in head and f"length: {len(rest)}".encode() in head.lower() and rest:
                return f"200, whole (content-length: {len(rest)})"
    except TimeoutError:
        return "neither"
    return "cut"


def noticed(port: str, name: str, until: bytes) -> str:
    """Whether the provider sees within two seconds that the client has left."""
    log = pathlib.Path(os.environ["WORK"]) / "log"
    log.write_text("")
    client, read = ask(port, name), b""
    if until:
        while until not in read:
            read += client.recv(65536)
    else:
        time.sleep(0.5)
    client.close()
    time.sleep(2)
    return "yes" if "left" in log.read_text() else "no"


if __name__ == "__main__":
    what, port, *names = sys.argv[1:]
    print(ending(port) if what == "ending" else noticed(port, names[0], names[1].encode() if names[1:] else b""))
