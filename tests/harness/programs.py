"""Programs of the machine that tests need."""

from __future__ import annotations

import os
import shutil

import pytest


def required(program: str, package: str) -> str:
    """The program; where it is missing, CI fails and a developer's run says what to install."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found:
        return found
    message = f"{program} is not installed: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
