"""A mistyped setting costs itself alone, and whoever can't be understood gets no guard that he may not want."""

from __future__ import annotations

from typing import Any

import pytest

from litellm_cancel_guard.host.setup_files import misplaced_blocks
from litellm_cancel_guard.settings import Settings, sound_settings, unknown_variables
from tests.core.test_lining import DEEP


@pytest.mark.parametrize(
    ("block", "holds", "named"),
    [
        ({"enabled": False, "leese_seconds": 9}, {"enabled": False}, ["did you mean lease_seconds?"]),
        ({"enabled": False, "lease_seconds": "soon"}, {"enabled": False}, ["cancel_guard: lease_seconds"]),
        ({"redis_timeout": 1, "lease_seconds": -1}, {"redis_timeout": 1}, ["cancel_guard: lease_seconds"]),
        ({"lease_seconds": 9, "heartbeat_seconds": 8}, {"lease_seconds": 9, "heartbeat_seconds": 3}, ["at most half"]),
        ({"enabled": "maybe", "redis_timeout": 1}, {"enabled": False, "redis_timeout": 1}, ["cancel_guard: enabled"]),
        ({"enabled": None}, {"enabled": False}, ["cancel_guard: enabled"]),
        ({"a": 1, "b": 2, 3: 4}, {}, ["cancel_guard: a", "cancel_guard: b", "cancel_guard: 3"]),
        ({"lease_seconds": float("nan"), "idle_timeout": 5}, {"idle_timeout": 5}, ["cancel_guard: lease_seconds"]),
        (
            {"holders_detail": ["teem"], "idle_timeout": 5},
            {"idle_timeout": 5},
            ["'teem' is no field of a holder: did you mean team?"],
        ),
        ({"holders_detail": {"team": True}}, {}, ["holders_detail: a list of alias, team"]),
        ({"holders_detail": "alias, user"}, {"holders_detail": ("alias", "user")}, []),
        ({"holders_detail": []}, {}, []),
        ({"fair_by": ["X-Team", "session_id", "address"]}, {"fair_by": ("X-Team", "session_id", "address")}, []),
        ({"fair_by": "X-Team, end_user"}, {"fair_by": ("X-Team", "end_user")}, []),
        ({"fair_by": []}, {"fair_by": ()}, []),
        ({"fair_by": 5}, {}, ["fair_by: a list of headers, end_user and address, not 5"]),
        ({"fair_by": ["X-Team", 5]}, {}, ["fair_by: a list of headers"]),
        ({"fair_by": ["X Team"]}, {}, ["fair_by: 'X Team' is no name of a header"]),
        ({"fair_by": ["x" * 2**20]}, {}, ["is no name of a header"]),
        ({"fair_by": ["end_usr"]}, {}, ["fair_by: 'end_usr' is no field: did you mean end_user?"]),
        ({"fair_by": ["Address"]}, {}, ["fair_by: 'Address' is no field: did you mean address?"]),
        ({"fair_by": [f"x-{n}" for n in range(17)]}, {}, ["fair_by: 17 names are more than 16"]),
        ({"fair_by": "X-Team=16, end_user=1"}, {"fair_by": ("X-Team=16", "end_user=1")}, []),
        *(
            ({"fair_by": [f"X-Team={turns}"]}, {}, [f"'X-Team' has from =1 to =16 turns in a round, not '{turns}'"])
            for turns in ("", "0", "17", "-1", "1.5", "four", "=4", "04", " 4", "\u0664")
        ),
        ({"fair_by": ["X-Team=" + "4" * 2**20]}, {}, ["'X-Team' has from =1 to =16 turns in a round"]),
        ({"fair_by": ["=4"]}, {}, ["fair_by: '' is no name of a header"]),
        ({"fair_by": ["X-Team =4"]}, {}, ["fair_by: 'X-Team ' is no name of a header"]),
        ({"fair_by": ["end_usr=4"]}, {}, ["fair_by: 'end_usr' is no field: did you mean end_user?"]),
        ({"fair_by": [{"X-Team": 4}]}, {}, ["fair_by: a list of headers, end_user and address, not [{'X-Team': 4}]"]),
        ({"fair_by": DEEP, "max_waiting": DEEP, "holders_detail": [DEEP]}, {}, ["fair_by", "max_waiting", "holders"]),
        ({"lease_seconds": 10**400}, {}, ["lease_seconds"]),
        (True, {"enabled": False}, ["must be a block"]),
        (["enabled"], {"enabled": False}, ["must be a block"]),
        (None, {}, []),
        ({}, {}, []),
    ],
)
def test_what_is_right_holds_and_what_is_wrong_is_named(block: Any, holds: dict[str, Any], named: list[str]) -> None:
    settings, wrong = sound_settings(block, {})
    assert settings == Settings.model_validate(holds)
    assert len(wrong) == len(named)
    for part in named:
        assert any(part in line for line in wrong), (part, wrong)


def test_a_wrong_variable_is_named_and_the_block_does_not_come_back_for_it() -> None:
    environ = {"CANCEL_GUARD_LEASE_SECONDS": "soon", "CANCEL_GUARD_REDIS_TIMEOUT": "1"}
    settings, [wrong] = sound_settings({"lease_seconds": 60, "idle_timeout": 5}, environ)
    assert (settings.lease_seconds, settings.redis_timeout, settings.idle_timeout) == (30, 1, 5)
    assert wrong.startswith("CANCEL_GUARD_LEASE_SECONDS")


def test_an_unknown_variable_is_named_with_what_may_be_meant() -> None:
    environ = {
        "CANCEL_GUARD_LEASE": "9",
        "CANCEL_GUARD_REDIS_TIMEOUT": "1",
        "CANCEL_GUARD_SERVICE_HOST": "10.0.0.1",
        "CANCEL_GUARD_PORT_80_TCP_ADDR": "10.0.0.1",
        "PATH": "/bin",
    }
    [line] = unknown_variables(environ)
    assert line.startswith("CANCEL_GUARD_LEASE: there is no such variable: did you mean CANCEL_GUARD_")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"cancel_guard": {}}, ["cancel_guard: nobody"]),
        ({"litellm_settings": {"cancel_guard": {}}}, ["litellm_settings: cancel_guard: nobody"]),
        ({"callback_settings": {"litellm_cancel_guard": {}}}, ["callback_settings: litellm_cancel_guard: nobody"]),
        ({"callback_settings": {"cancel_gaurd": {}}}, ["callback_settings: cancel_gaurd: nobody"]),
        ({"callback_settings": {"cancel_guard": {}, "otel": {}}, "model_list": []}, []),
        ({"callback_settings": None, "litellm_settings": ["x"]}, []),
        ({"litellm_settings": {"callbacks": ["litellm_cancel_guard.handler"]}}, []),
    ],
)
def test_a_block_in_another_place_or_under_another_name_is_named(config: dict[str, Any], named: list[str]) -> None:
    lines = misplaced_blocks(config)
    assert len(lines) == len(named)
    for line, part in zip(lines, named, strict=True):
        assert line.startswith(part)
        assert line.endswith("did you mean callback_settings: cancel_guard?")
