"""The routes on which LiteLLM calls no success hook are known by their call types, as LiteLLM spells them."""

from __future__ import annotations

import inspect
import re

import pytest
from litellm.types.utils import CallTypes

from litellm_cancel_guard.lease.routes import UNHOOKED_ROUTES

_QUOTED = re.compile(r'"(\w+)"')


def test_every_route_by_which_a_realtime_session_begins_is_known_to_be_without_a_success_hook() -> None:
    """One that is not is taken for a leak, and its key's next request may be refused for it by another worker."""
    endpoints = pytest.importorskip("litellm.proxy.realtime_endpoints.endpoints")
    source = inspect.getsource(endpoints)
    assert "post_call_success_hook" not in source
    assert {*_QUOTED.findall(source)} & {call.value for call in CallTypes} <= UNHOOKED_ROUTES
