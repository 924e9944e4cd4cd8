"""The first promise, whatever else holds: never worse than LiteLLM alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.difference.compared import compared, report, sides
from tests.harness.config import Setup

if TYPE_CHECKING:
    from tests.difference.compare import Difference
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies
    from tests.harness.versions import Version


@pytest.mark.difference
@pytest.mark.timeout(600)
async def test_a_guarded_proxy_does_what_a_bare_one_does_but_for_what_is_allowed(
    litellm_version: Version,
    proxies: Proxies,
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    pytestconfig: pytest.Config,
    found: dict[Version, list[Difference]],
) -> None:
    usual = Setup(litellm_version, guarded=False, provider=provider.url, redis_port=None, secure=provider.secure)
    with sides(usual, proxies, tmp_path_factory.mktemp) as (bare, guarded):
        again = pytestconfig.getoption("difference_again")
        found[litellm_version] = await compared(bare, guarded, provider, again=again)
        answered = {str(seen.status) for seen in guarded.seen.values()}

    unexplained = [difference for difference in found[litellm_version] if difference.allowed is None]
    assert not unexplained, f"{len(unexplained)} differences that nothing allows:\n{report(unexplained)}"
    # Two proxies that refuse everything are alike, too.
    assert {"200", "429", "500"} <= answered
