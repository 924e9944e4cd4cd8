"""Programs of the machine that tests need."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def required(program: str, package: str) -> str:
    """The program; where it is missing, CI fails and a developer's run says what to install."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    return found or lacking(f"{program} is not installed: apt-get install {package}")


def lacking(message: str) -> NoReturn:
    """Fail in CI, skip in a developer's run: something is not there, and the message says what to do."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
