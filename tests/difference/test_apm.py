"""Beside an APM, which wraps what the guard wraps, it does what it does without one: the same difference to bare.

    pytest -m apm --litellm 1.110.2

Both proxies have the APM, installed into a folder of its own, and begun before LiteLLM as its own command does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.difference.compared import compared, report, sides
from tests.harness import venvs
from tests.harness.config import Setup

if TYPE_CHECKING:
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies
    from tests.harness.versions import Version


@dataclass(frozen=True)
class Apm:
    """An APM.

    Attributes:
        packages: with all that LiteLLM's environment lacks.
        begins: what begins it in a process; no span leaves it, for nobody listens.
    """

    name: str
    packages: tuple[str, ...]
    begins: str
    env: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


_BEGUN = "the APM has begun"
_SPANS = "opentelemetry-semantic-conventions==0.66b2", "opentelemetry-util-http==0.66b2", "asgiref==3.13.0"
APMS = (
    Apm(
        "ddtrace",
        ("ddtrace==4.16.0", "bytecode==0.19.1", "envier==0.6.1", "wrapt==2.5.2"),
        "import ddtrace.auto\n",
        (("DD_TRACE_AGENT_URL", "http://127.0.0.1:9"), ("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")),
    ),
    Apm(
        "opentelemetry",
        (
            "opentelemetry-instrumentation-fastapi==0.66b2",
            "opentelemetry-instrumentation-redis==0.66b2",
            "opentelemetry-instrumentation-httpx==0.66b2",
            "opentelemetry-instrumentation-asgi==0.66b2",
            "opentelemetry-instrumentation==0.66b2",
            "opentelemetry-sdk==1.45.2",
            "opentelemetry-api==1.45.2",
            *_SPANS,
            "wrapt==2.5.2",
        ),
        """
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
for instrumentor in (FastAPIInstrumentor, HTTPXClientInstrumentor, RedisInstrumentor):
    instrumentor().instrument()
""",
    ),
    Apm(
        "sentry",
        ("sentry-sdk==2.75.0",),
        """
import sentry_sdk

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda envelope: None)
""",
    ),
)


@pytest.mark.apm
@pytest.mark.timeout(900)
@pytest.mark.parametrize("apm", APMS, ids=str)
async def test_beside_an_apm_it_does_what_a_bare_one_with_it_does(
    litellm_version: Version,
    proxies: Proxies,
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    pytestconfig: pytest.Config,
    apm: Apm,
) -> None:
    usual = Setup(litellm_version, guarded=False, provider=provider.url, redis_port=None, secure=provider.secure)
    libraries = str(venvs.library(*apm.packages))
    begins = f"{apm.begins}\nprint({_BEGUN!r})\n"
    usual = replace(usual, libraries=libraries, begins=begins, env=(*apm.env, ("LITELLM_LOG", "INFO")))
    with sides(usual, proxies, tmp_path_factory.mktemp) as (bare, guarded):
        again = pytestconfig.getoption("difference_again")
        found = await compared(bare, guarded, provider, again=again)
        said = guarded.proxy.text()
        assert _BEGUN in bare.proxy.text()
        assert _BEGUN in said

    unexplained = [difference for difference in found if difference.allowed is None]
    assert not unexplained, f"{len(unexplained)} differences that nothing allows:\n{report(unexplained)}"
    assert guarded.proxy.attached, said[-3000:]
    assert "stands aside" not in said
