"""TLS on the proxy's own side: a certificate for it, and clients that ask for none."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def arguments(folder: Path) -> tuple[str, ...]:
    """Options of LiteLLM's command line, with which any of its servers speaks TLS."""
    issued = trustme.CA().issue_cert(LOOPBACK)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return "--ssl_certfile_path", str(certificate), "--ssl_keyfile_path", str(key)


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
