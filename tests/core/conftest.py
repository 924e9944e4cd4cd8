from __future__ import annotations

import pytest

from litellm_cancel_guard.host.grafting import Touch
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry
from litellm_cancel_guard.settings import Settings
from tests.core.hosts import GRAFT
from tests.core.scripted import ScriptedGauge


@pytest.fixture
def gauge() -> ScriptedGauge:
    return ScriptedGauge()


@pytest.fixture
def ledger(gauge: ScriptedGauge) -> Ledger:
    return Ledger(Registry(), gauge, Settings(lease_seconds=30, redis_timeout=5))


@pytest.fixture
def faults() -> list[BaseException]:
    return []


@pytest.fixture
def touch(faults: list[BaseException]) -> Touch:
    return Touch(GRAFT, fault=lambda _, error: faults.append(error))
