"""What is in deploy/, as far as it can be checked without an engine, a cluster and a Grafana."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from litellm_cancel_guard.host import grafts
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.setup_files import SHIM_NAME, read_config
from litellm_cancel_guard.host.standing import SLOTS
from litellm_cancel_guard.operator import metrics
from litellm_cancel_guard.settings import load_settings
from tests.cli.command import environ
from tests.harness.keys import fresh_key
from tests.harness.process import Process, free_port
from tests.harness.programs import required
from tests.harness.routes import ROUTES
from tests.harness.witness import attached, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.proxy import Proxy

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROVEN = Path(grafts.__file__).with_name("proven.json")
[VERSION] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
NAMES = re.compile(r"litellm_cancel_guard_\w+")


def queries() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def promtool(*args: str, cwd: Path) -> None:
    program = required("promtool", "prometheus")
    done = subprocess.run([program, *args], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alert_rules_are_valid_and_fire_when_they_should() -> None:
    promtool("check", "rules", "alerts.yaml", cwd=DEPLOY)
    promtool("test", "rules", "alerts.test.yaml", cwd=DEPLOY)


def test_every_query_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$job", ".*")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "queries.yaml", cwd=tmp_path)


@pytest.mark.timeout(300)
async def test_every_query_of_the_dashboard_is_answered_by_a_prometheus_that_scrapes_two_workers(
    metered: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], http: httpx.AsyncClient, tmp_path: Path
) -> None:
    program = required("prometheus", "prometheus")
    (tmp_path / "workers").mkdir()
    env = (("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "workers")), ("LITELLM_LOG", "INFO"))
    proxy = metered(workers=2, arguments=("--run_gunicorn",), env=env)
    # Asked for the first time by several at once, LiteLLM 1.83 now and then answers 400: its threads build one pydantic
    # model at the same time.
    await attached(proxy, 2)
    target = {"targets": [proxy.url.removeprefix("http://")]}
    scrape = {"job_name": "litellm", "scrape_interval": "1s", "static_configs": [target]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    port = free_port()
    argv = [program, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    server = Process("prometheus", [*argv, f"--web.listen-address=127.0.0.1:{port}"], env=environ(), folder=tmp_path)
    try:
        caller, key, lined = call_on(proxy), fresh_key(cap=4), fresh_key(cap=1, wait=60)

        async def unanswered() -> list[str]:
            missing = []
            for query in queries():
                asked = query.replace("$__rate_interval", "1m").replace("$job", ".*")
                answer = await http.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": asked})
                if answer.status_code == 503:  # Prometheus is starting
                    return ["all of them"]
                assert answer.status_code == 200, answer.text
                missing += [] if answer.json()["data"]["result"] else [query]
            return missing

        async def all_answered() -> bool:
            await caller.admitted_at_once(key, cap=4)
            await caller.hang_up_mid(ROUTES["chat"], key)
            await asyncio.gather(*(caller.plain(ROUTES["chat"], lined) for _ in range(2)))
            try:
                return await unanswered() == []
            except httpx.TransportError:
                return False

        await wait_until(all_answered, "every query has a series", within=60, every=1)
    finally:
        server.stop()


def test_the_rules_and_the_dashboard_ask_only_for_metrics_that_there_are() -> None:
    prometheus_client = pytest.importorskip("prometheus_client")
    assert metrics.observer(per_key=False) is not None
    there = set(NAMES.findall(prometheus_client.generate_latest().decode()))
    rules: Any = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]] + queries()
    # A histogram without an observation shows no bucket by the name alone; its families are in the text all the same.
    assert {name for query in asked for name in NAMES.findall(query)} <= there


def test_the_alert_on_the_count_of_slots_and_the_one_on_the_rest_leave_no_touch_out() -> None:
    rules: Any = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    asked = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    left_out = re.search(r'graft!~"([^"]+)"', asked["CancelGuardPartAside"])
    assert left_out is not None
    counting = {graft.name for graft in GRAFTS if graft.group == SLOTS}
    assert {graft.name for graft in GRAFTS if re.fullmatch(left_out[1], graft.name)} == counting
    assert "slots.seam" in counting
    assert 'graft="slots.seam"' in asked["CancelGuardNotCounting"]


class Part(BaseModel):
    """A mapping of LiteLLM's chart: what it takes, and as what (its deploy/charts/litellm-helm/values.yaml)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Image(Part):
    repository: str
    tag: str = Field(pattern=r"^litellm-(\d+\.){2}\d+-guard-(\d+\.){2}\d+$")
    pull_policy: Literal["IfNotPresent"] = Field(alias="pullPolicy")


class RollingUpdate(Part):
    unavailable: Literal[0] = Field(alias="maxUnavailable")
    surge: int = Field(alias="maxSurge", ge=1)


class Strategy(Part):
    type: Literal["RollingUpdate"]
    rolling: RollingUpdate = Field(alias="rollingUpdate")


class Command(Part):
    command: list[str]


class Hook(Part):
    execute: Command = Field(alias="exec")


class Lifecycle(Part):
    pre_stop: Hook = Field(alias="preStop")


class Monitor(Part):
    enabled: bool
    interval: str = Field(pattern=r"^\d+s$")
    timeout: str = Field(alias="scrapeTimeout", pattern=r"^\d+s$")


class Named(Part):
    name: str


class Volume(Named):
    config_map: Named = Field(alias="configMap")


class Mount(Named):
    # The chart mounts /etc/litellm/config.yaml alone, by subPath: a folder there would hide it.
    path: Literal["/etc/litellm/litellm_cancel_guard.py"] = Field(alias="mountPath")
    sub_path: Literal["litellm_cancel_guard.py"] = Field(alias="subPath")


class Values(Part):
    image: Image
    proxy_config: dict[str, Any]
    env: dict[str, str] = Field(alias="envVars")
    secrets: list[str] = Field(alias="environmentSecrets")
    strategy: Strategy
    lifecycle: Lifecycle
    grace: int = Field(alias="terminationGracePeriodSeconds")
    monitor: Monitor = Field(alias="serviceMonitor")
    volumes: list[Volume] = []
    mounts: list[Mount] = Field(default=[], alias="volumeMounts")


def chart_values() -> list[Values]:
    """Without what is commented out, and with it."""
    text = (DEPLOY / "helm-values.yaml").read_text()
    before, marker, commented = text.partition("# volumes:")
    whole = before + re.sub(r"^# ", "", marker + commented, flags=re.MULTILINE)
    return [Values.model_validate(yaml.safe_load(said)) for said in (text, whole)]


def test_the_chart_takes_the_values_with_and_without_what_is_commented_out() -> None:
    bare, whole = chart_values()
    assert (bare.volumes, [mount.path for mount in whole.mounts]) == ([], [f"/etc/litellm/{SHIM_NAME}"])
    assert {mount.name for mount in whole.mounts} == {volume.name for volume in whole.volumes}


def test_a_pod_has_time_for_its_streams_and_its_scrape_for_an_answer() -> None:
    """Kubernetes counts preStop into the grace period: what is left is the server's."""
    values, _ = chart_values()
    [waited] = re.findall(r"sleep (\d+)", " ".join(values.lifecycle.pre_stop.execute.command))
    assert int(waited) + int(values.env["GRACEFUL_SHUTDOWN_TIMEOUT"]) < values.grace
    assert int(values.monitor.timeout[:-1]) < int(values.monitor.interval[:-1])
    litellm = values.proxy_config["litellm_settings"]
    assert "prometheus" in litellm["callbacks"]
    assert litellm["require_auth_for_metrics_endpoint"] is False, "the chart's ServiceMonitor sends no key"


def test_the_image_that_is_deployed_is_one_of_this_version_and_of_a_litellm_that_was_played() -> None:
    values, _ = chart_values()
    litellm, guard = values.image.tag.removeprefix("litellm-").split("-guard-")
    assert guard == VERSION
    assert litellm in json.loads(PROVEN.read_text())["played"]


def dockerfile() -> list[tuple[str, str]]:
    """Each instruction and what it is told."""
    lines = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, told) for name, _, told in (line.partition(" ") for line in lines.splitlines() if line)]


def test_the_image_is_built_from_the_litellm_and_the_wheel_that_are_named() -> None:
    steps = dockerfile()
    assert [name for name, _ in steps] == ["ARG", "FROM", "ARG", "COPY", "RUN", "RUN"]
    arguments = [told for name, told in steps if name == "ARG"]
    assert arguments == ["LITELLM", f"WHEEL=dist/litellm_cancel_guard-{VERSION}-py3-none-any.whl"]
    assert (steps[1][1], steps[3][1]) == ("${LITELLM}", "${WHEEL} /tmp/guard/")
    named = set(re.findall(r"--build-arg (\w+)=", (DEPLOY / "Dockerfile").read_text()))
    assert named == {"LITELLM"}, "what has no default is in the command that is shown"
    images = re.findall(r"from=(\S+?),", steps[4][1])
    assert all(re.search(r":\d[\d.]*$", image) for image in images), "no image without its version"
    for _, step in steps[4:]:
        shell = re.sub(r"^--mount=\S+ +", "", step)
        assert subprocess.run(["sh", "-n", "-c", shell], check=False).returncode == 0, shell


def test_the_charts_values_name_the_guard_and_set_it_validly(tmp_path: Path) -> None:
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values["proxy_config"]))
    reading = read_config(config)

    assert (reading.present, reading.wrong, reading.misplaced) == (True, [], [])
    assert load_settings(values["proxy_config"]["callback_settings"]["cancel_guard"], {}).enabled
