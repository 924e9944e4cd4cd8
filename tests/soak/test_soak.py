"""Two minutes of the soak, for CI: `pytest -m soak --litellm 1.83.14,1.109.1`."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.harness import venvs
from tests.soak.run import Soak

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.versions import Version


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_two_minutes_of_storm_break_no_promise(litellm_version: Version, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    soak = Soak(litellm_version, venvs.python_of(litellm_version), tmp_path, seed)
    try:
        assert asyncio.run(soak.run(120)) == [], f"seed {seed}"
    finally:
        soak.close()
