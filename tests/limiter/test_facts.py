"""Each fact of host/facts.py, asked of the real LiteLLM of each version: one that expires says so here."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from litellm_cancel_guard.host import facts
from tests.harness import venvs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

pytestmark = pytest.mark.more

PROBE = Path(__file__).with_name("facts_probe.py")


@pytest.fixture(scope="session")
def seen_by(redis_server: RedisServer) -> Callable[[Version], dict[str, Any]]:
    """What the probe sees in a version, once for all tests."""
    seen: dict[Version, dict[str, Any]] = {}

    def of(version: Version) -> dict[str, Any]:
        if version not in seen:
            command = [str(venvs.python_of(version)), str(PROBE), str(redis_server.port)]
            env = {"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
            assert done.returncode == 0, done.stderr[-3000:]
            seen[version] = json.loads(done.stdout.splitlines()[-1])
        return seen[version]

    return of


@pytest.fixture
def seen(seen_by: Callable[[Version], dict[str, Any]], litellm_version: Version) -> dict[str, Any]:
    return seen_by(litellm_version)


@pytest.fixture
def slots(litellm_version: Version) -> bool:
    """Whether the version is to have the slot limiter."""
    return litellm_version.at_least(1, 94)


def test_every_fact_has_a_test() -> None:
    stated = re.findall(r"^(F\d+)\.", facts.__doc__ or "", re.MULTILINE)
    tested = re.findall(r"^(?:async )?def test_(f\d+)_", Path(__file__).read_text(), re.MULTILINE)
    assert sorted(stated) == sorted(name.upper() for name in tested)


def test_f1_the_limiter_is_found_by_its_name(seen: dict[str, Any]) -> None:
    assert seen["F1"] == "_PROXY_MaxParallelRequestsHandler_v3"


def test_f2_the_pre_call_hook_asks_the_instance(seen: dict[str, Any]) -> None:
    assert [one["key"] for one in seen["F2"]][:1] == [facts.CAPPED_DESCRIPTOR]


def test_f3_slots_are_members_where_there_is_a_slot_id(seen: dict[str, Any], slots: bool) -> None:
    assert seen["F3"] == {"parameter": slots, "type": "zset" if slots else "string"}


def test_f4_only_the_key_itself_has_a_cap(seen: dict[str, Any]) -> None:
    capped = [one["key"] for one in seen["F2"] if one["cap"] is not None]
    assert (capped, len(seen["F2"]) > 1) == ([facts.CAPPED_DESCRIPTOR], True)


def test_f5_a_slot_is_pruned_by_its_age(seen: dict[str, Any], slots: bool) -> None:
    assert seen["F5"] == ({"ttl": 3600, "past": False, "near": True} if slots else None)


def test_f6_the_counting_limiter_counts_down_in_two_ways(seen: dict[str, Any], slots: bool) -> None:
    ways = [["async_increment_tokens_with_ttl_preservation", -1], ["async_increment_cache_pipeline", -1]]
    assert seen["F6"] == ([] if slots else ways)


def test_f7_the_namespace_is_before_the_keys_of_scripts(seen: dict[str, Any], litellm_version: Version) -> None:
    namespaced = litellm_version.release >= facts.NAMESPACED_SCRIPTS_SINCE
    by_params = litellm_version.namespaces_slots
    assert seen["F7"] == {
        "made_with": ["tenant:{api_key:" if namespaced else "{api_key:"],
        "by_params": ["tenant:{api_key:" if by_params else "{api_key:"],
    }


def test_f8_the_first_status_over_its_limit_is_the_refusal(seen: dict[str, Any]) -> None:
    assert seen["F8"] == {"status": 429, "cap": True, "header": True}


def test_f9_the_guard_comes_before_the_limiter(proxies: Proxies, setup: Setup) -> None:
    proxy = proxies.shared(replace(setup, guarded=True, callbacks=("probe.probe",), beside=("probe.py",)))
    names = httpx.get(f"{proxy.url}/_probe", trust_env=False).json()["callbacks"]
    order = [name for name in names if name in {"_PROXY_CancelGuard", "Late"} or "MaxParallelRequests" in name]
    assert order == ["_PROXY_CancelGuard", "_PROXY_MaxParallelRequestsHandler_v3", "Late"]


def test_f10_a_slot_is_given_back_by_its_id(seen: dict[str, Any], slots: bool, litellm_version: Version) -> None:
    deferred = "acquisition" if litellm_version.at_least(1, 105) else None
    assert seen["F10"] == ({"first": "acquisition", "left": 0, "deferred": deferred} if slots else None)


def test_f12_the_limiter_says_whether_it_fails_closed(seen: dict[str, Any], litellm_version: Version) -> None:
    known = litellm_version.release >= facts.FAILS_CLOSED_SINCE
    assert seen["F12"] == ([False, True, True, False] if known else None)


def test_f11_an_http_exception_passes_through_the_hook(seen: dict[str, Any]) -> None:
    assert seen["F11"] == 503


def test_f13_the_counting_limiters_script_can_be_replaced_and_left(seen: dict[str, Any], slots: bool) -> None:
    assert seen["F13"] == (None if slots else {"text": [True], "ends": ["Leaves"]})


def test_f14_a_guardrail_stands_between_the_guard_and_the_limiter(proxies: Proxies, setup: Setup) -> None:
    looks = {"guardrail": "guardrail.Tolerant", "mode": "post_call", "default_on": True}
    settings = json.dumps({"guardrails": [{"guardrail_name": "looks", "litellm_params": looks}]})
    given = replace(setup, guarded=True, callbacks=("probe.probe",), beside=("probe.py", "guardrail.py"))
    proxy = proxies.shared(replace(given, settings=settings))
    names = httpx.get(f"{proxy.url}/_probe", trust_env=False).json()["callbacks"]
    known = ("_PROXY_CancelGuard", "Tolerant", "_PROXY_CancelGuardsEnd", "_PROXY_MaxParallelRequestsHandler_v3")
    assert [name for name in names if name in known] == list(known)


def test_f15_what_a_success_adds_has_a_known_shape(seen: dict[str, Any], litellm_version: Version) -> None:
    fields = ["amount", "counter", "ttl"] if litellm_version.at_least(1, 110) else ["increment_value", "key", "ttl"]
    assert seen["F15"] == {"fields": fields, "suffix": "tokens"}


def test_f16_the_limiter_says_whether_it_counts_in_redis(seen: dict[str, Any]) -> None:
    assert seen["F16"] == [True, False]


def test_f17_an_early_look_asks_the_instance_and_reads_only(seen: dict[str, Any], litellm_version: Version) -> None:
    assert seen["F17"] == ([[True, 1]] if litellm_version.looks_early else None)


def test_f18_a_client_beside_litellms_own_is_made_of_the_same_settings(seen: dict[str, Any]) -> None:
    assert seen["F18"] == {
        "answers": True,
        "own": True,
        "cluster": True,
        "url": "p",
        "tls": ["SSLConnection", "p"],
        "sentinel": "SentinelConnectionPool",
    }
