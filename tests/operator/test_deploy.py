"""What is in deploy/, as far as it can be checked without an engine, a cluster and a Grafana."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

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

DEPLOY = Path(__file__).parents[2] / "deploy"
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
        caller, key = call_on(proxy), fresh_key(cap=4)

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


# What LiteLLM's chart takes, and as what: deploy/charts/litellm-helm/values.yaml and templates/deployment.yaml.
CHART: dict[str, type] = {
    "image": dict,
    "proxy_config": dict,
    "envVars": dict,
    "environmentSecrets": list,
    "volumes": list,
    "volumeMounts": list,
    "terminationGracePeriodSeconds": int,
}


def test_the_chart_takes_the_values_with_and_without_what_is_commented_out() -> None:
    text = (DEPLOY / "helm-values.yaml").read_text()
    before, marker, commented = text.partition("# volumes:")
    whole = before + re.sub(r"^# ", "", marker + commented, flags=re.MULTILINE)
    assert "volumes" in yaml.safe_load(whole)
    for values in (yaml.safe_load(text), yaml.safe_load(whole)):
        assert values.keys() <= CHART.keys()
        for name, value in values.items():
            assert isinstance(value, CHART[name]), name
        assert values["image"].keys() <= {"repository", "tag", "pullPolicy"}
        assert all(isinstance(value, str) for value in values["envVars"].values()), "Kubernetes takes text alone"
        mounted = {mount["name"] for mount in values.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in values.get("volumes", [])}
        for mount in values.get("volumeMounts", []):
            # The chart mounts /etc/litellm/config.yaml alone, by subPath: a folder there would hide it.
            assert mount["mountPath"] == f"/etc/litellm/{SHIM_NAME}"
            assert mount["subPath"] == SHIM_NAME


def test_the_charts_values_name_the_guard_and_set_it_validly(tmp_path: Path) -> None:
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values["proxy_config"]))
    reading = read_config(config)

    assert (reading.present, reading.wrong, reading.misplaced) == (True, [], [])
    assert load_settings(values["proxy_config"]["callback_settings"]["cancel_guard"], {}).enabled
