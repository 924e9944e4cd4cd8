"""TLS: a certificate for a server on loopback, LiteLLM's options for it, and clients that take any."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

import trustme

from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Files(NamedTuple):
    """What a server shows, its key, and the authority that vouches for it."""

    certificate: Path
    key: Path
    authority: Path


def issued(folder: Path) -> Files:
    """Write them for a server on loopback."""
    files = Files(*(folder / f"{name}.pem" for name in Files._fields))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(files.authority))
    certificate = authority.issue_cert(LOOPBACK)
    certificate.cert_chain_pems[0].write_to_path(str(files.certificate))
    certificate.private_key_pem.write_to_path(str(files.key))
    return files


def arguments(folder: Path) -> tuple[str, ...]:
    """Options of LiteLLM's command line, with which any of its servers speaks TLS."""
    files = issued(folder)
    return "--ssl_certfile_path", str(files.certificate), "--ssl_keyfile_path", str(files.key)


def of(setup_arguments: Sequence[str]) -> bool:
    """Whether a proxy with those options speaks TLS."""
    return "--ssl_certfile_path" in setup_arguments


def trusting(protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """A client's, which takes any certificate and offers those protocols (ALPN)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context
