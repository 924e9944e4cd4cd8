"""Vertex without Google: a service account of our own, whose tokens the scripted provider gives out."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.venvs import _uv, cache

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES = ("google-auth", "pyasn1", "pyasn1-modules")


def service_account(provider: str, folder: Path) -> Path:
    """Write the credentials; returns their path."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": key.private_bytes(*plain).decode(),
        "client_email": "proxy@project.iam.gserviceaccount.com",
        "token_uri": f"{provider}/token",
    }
    path = folder / "vertex.json"
    path.write_text(json.dumps(account))
    return path


def libraries() -> Path:
    """The folder with google-auth, which litellm[proxy] does not bring; installed on first use."""
    folder = cache().parent / "google-auth-2"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            command = (_uv(), "pip", "install", "--no-deps", "--python", sys.executable, "--target", str(folder))
            subprocess.run((*command, *_PACKAGES), check=True, capture_output=True)
            (folder / "ready").touch()
    return folder
