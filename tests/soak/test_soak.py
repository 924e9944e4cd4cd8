"""The soak and the line, for CI: `pytest -m soak --litellm 1.83.14,1.109.1`."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.harness import venvs
from tests.soak.line import Line
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


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_twenty_agents_of_a_key_that_admits_four_wait_their_turn_and_none_is_refused(
    litellm_version: Version, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    line = Line(litellm_version, venvs.python_of(litellm_version), tmp_path, seed)
    try:
        assert asyncio.run(line.run(20)) == [], f"seed {seed}"
    finally:
        line.close()
