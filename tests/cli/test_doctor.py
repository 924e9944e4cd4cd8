"""doctor and settings: what they find, and what they say to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from litellm_cancel_guard.gauge.probe import _version
from litellm_cancel_guard.host.setup_files import CALLBACK, SHIM_NAME
from litellm_cancel_guard.settings import Settings
from tests.cli.command import assert_one_clear_message, guard, pretend_litellm
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer


def config(folder: Path, redis: RedisServer | None = None, **more: Any) -> Path:
    settings: dict[str, Any] = {"callbacks": [CALLBACK]}
    if redis is not None:
        settings |= {"cache": True, "cache_params": {"type": "redis", "host": LOOPBACK, "port": redis.port}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"litellm_settings": settings, **more}))
    return path


def examined(*args: str | Path, code: int, env: dict[str, str] | None = None) -> dict[str, tuple[bool, str]]:
    """What doctor finds; without loading LiteLLM, which takes seconds and is for the tests of that."""
    return loaded("--patience", "0", *args, code=code, env=env)


def loaded(*args: str | Path, code: int, env: dict[str, str] | None = None) -> dict[str, tuple[bool, str]]:
    patience = () if "--patience" in args else ("--patience", "100")
    done = guard("doctor", *args, *patience, "--json", env=env, timeout=120)
    assert done.returncode == code, done
    return {finding["check"]: (finding["ok"], finding["text"]) for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("version", ["1.83.14", "1.109.1"])
def test_where_nothing_has_to_be_done_each_is_a_tick(tmp_path: Path, redis_server: RedisServer, version: str) -> None:
    path = config(tmp_path, redis_server)
    env = pretend_litellm(version, tmp_path)
    assert guard("init", "--config", path, env=env).returncode == 0
    found = examined("--config", path, code=1, env=env)  # the pretended LiteLLM has no limiter to look at

    assert {check for check, (ok, _) in found.items() if not ok} == {"limiter"}
    assert ("pings" in found) == (version == "1.109.1"), "older ones have none"
    assert "all rights needed" in found["Redis"][1]
    assert redis_server.client.keys("*doctor*") == []


def test_the_limiter_of_the_installed_litellm_is_known(tmp_path: Path, redis_server: RedisServer) -> None:
    found = examined("--config", config(tmp_path, redis_server), code=0)
    assert found["limiter"] == (True, "the slots limiter")
    printed = guard("doctor", "--patience", "0", "--config", tmp_path / "config.yaml").stdout
    assert (printed.count("✓"), printed.count("!")) == (len(found) - 1, 1), printed
    assert "! pings: off" in printed


@pytest.mark.timeout(240)
def test_the_guard_is_tried_on_the_installed_litellm_and_on_the_redis_of_the_config(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    ok, text = loaded("--config", config(tmp_path, redis_server), code=0)["grafts"]
    assert ok, text
    assert "count the same in Redis" in text
    assert redis_server.client.keys("*canary*") == []


PATCHED = """
from importlib.machinery import SourceFileLoader

get_code = SourceFileLoader.get_code

def patched(self, name):
    if name != "litellm.proxy.hooks.parallel_request_limiter_v3":
        return get_code(self, name)
    text = self.get_source(name)
    assert {old!r} in text
    return compile(text.replace({old!r}, {new!r}), self.path, "exec")

SourceFileLoader.get_code = patched
"""


def patched_litellm(folder: Path, old: str, new: str) -> dict[str, str]:
    """Return an environment in which the text of LiteLLM's limiter is another."""
    place = folder / "patched"
    place.mkdir()
    (place / "sitecustomize.py").write_text(PATCHED.format(old=old, new=new))
    return {"PYTHONPATH": str(place)}


@pytest.mark.more
def test_a_litellm_that_counts_elsewhere_is_found_out_and_what_is_lost_is_said(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    path = config(tmp_path, redis_server)
    env = patched_litellm(tmp_path, "{{{key}:{value}}}:{rate_limit_type}", "{{{key}:{value}}}:v4:{rate_limit_type}")
    found = loaded("--config", path, code=1, env=env)
    ok, text = found["graft slots"]
    assert (ok, found["grafts"][0]) == (False, False)
    assert "LiteLLM's slot is not where the guard looks for it" in text
    assert "slots leak as without the guard" in text


@pytest.mark.more
def test_a_litellm_that_cannot_be_loaded_is_one_line(tmp_path: Path, redis_server: RedisServer) -> None:
    env = patched_litellm(tmp_path, "import asyncio\n", "import no_such_module\n")
    ok, text = loaded("--config", config(tmp_path, redis_server), code=1, env=env)["grafts"]
    assert not ok
    assert "No module named 'no_such_module'" in text
    assert "\n" not in text


def test_a_litellm_that_takes_too_long_to_load_is_one_line(tmp_path: Path, redis_server: RedisServer) -> None:
    ok, text = loaded("--config", config(tmp_path, redis_server), "--patience", "0.01", code=0)["grafts"]
    assert (ok, text) == (True, "not tried: LiteLLM was not loaded within 0.01 s; --patience gives it more")


def test_the_missing_file_beside_an_old_litellms_config_is_told(tmp_path: Path, redis_server: RedisServer) -> None:
    env = pretend_litellm("1.83.14", tmp_path)
    ok, text = examined("--config", config(tmp_path, redis_server), code=1, env=env)["loading"]
    assert not ok
    assert "init --config" in text
    (tmp_path / SHIM_NAME).write_text("# something else")
    assert "isn't ours" in examined("--config", tmp_path / "config.yaml", code=1, env=env)["loading"][1]


def test_a_misspelt_name_is_answered_with_the_lines_to_write(tmp_path: Path, redis_server: RedisServer) -> None:
    path = config(tmp_path, redis_server)
    path.write_text(path.read_text().replace(CALLBACK, "litellm_cancel_guard.CancelGuard"))
    ok, text = examined("--config", path, code=1)["config"]
    assert not ok
    assert f'callbacks: ["{CALLBACK}"]' in text


def test_the_legacy_limiter_and_a_wrong_setting_are_named(tmp_path: Path, redis_server: RedisServer) -> None:
    env = {"LEGACY_MULTI_INSTANCE_RATE_LIMITING": "true", "CANCEL_GUARD_LEASE_SECONDS": "never"}
    found = examined("--config", config(tmp_path, redis_server), code=1, env=env)
    assert "remove it" in found["limiter"][1]
    assert "CANCEL_GUARD_LEASE_SECONDS" in found["settings"][1]


def test_a_redis_that_is_away_or_forbids_scripts_is_told(tmp_path: Path, redis_server: RedisServer) -> None:
    path = config(tmp_path, redis_server)
    assert not examined("--config", path, "--redis", "redis://127.0.0.1:1", code=1)["Redis"][0]
    redis_server.client.acl_setuser(
        "unscripted", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-@scripting"]
    )
    url = f"redis://unscripted:secret@{LOOPBACK}:{redis_server.port}"
    ok, text = examined("--config", path, "--redis", url, code=1)["Redis"]
    assert not ok
    assert "NoPermissionError" in text
    assert "secret" not in text


LINED = {"callback_settings": {"cancel_guard": {"max_wait_seconds": 30}}}


def url_of(redis_server: RedisServer, name: str, *commands: str, channels: tuple[str, ...] = ("*",)) -> str:
    """Return how a user of that name asks, who may do all but *commands*."""
    redis_server.client.acl_setuser(
        name,
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        channels=list(channels),
        commands=["+@all", *(f"-{command}" for command in commands)],
    )
    return f"redis://{name}:secret@{LOOPBACK}:{redis_server.port}"


def test_a_line_that_works_is_said_and_one_that_is_off_is_not(tmp_path: Path, redis_server: RedisServer) -> None:
    assert "line" not in examined("--config", config(tmp_path, redis_server), code=0)
    found = examined("--config", config(tmp_path, redis_server, **LINED), code=0)
    assert found["line"] == (True, "100 requests of a key wait for up to 30 s each.")
    assert "max_wait_seconds" not in found


@pytest.mark.parametrize(("seconds", "warned"), [(45, False), (46, True)])
def test_a_wait_that_outlasts_what_stands_in_front_is_a_warning(
    tmp_path: Path, redis_server: RedisServer, seconds: int, warned: bool
) -> None:
    path = config(tmp_path, redis_server, callback_settings={"cancel_guard": {"max_wait_seconds": seconds}})
    done = guard("doctor", "--patience", "0", "--config", path)
    assert (done.returncode, "! max_wait_seconds: 46 is more than 45" in done.stdout) == (0, warned)
    assert ("504" in done.stdout) == warned


def test_a_redis_that_lets_nobody_wait_is_a_fault_where_the_line_is_on_and_else_a_warning(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    url = url_of(redis_server, "unlined", "hset")
    ok, text = examined("--config", config(tmp_path, redis_server, **LINED), "--redis", url, code=1)["line"]
    assert not ok
    assert "commands on hashes and sorted sets" in text
    assert "secret" not in text
    done = guard("doctor", "--patience", "0", "--config", config(tmp_path, redis_server), "--redis", url)
    assert (done.returncode, "! line: Redis does not let requests wait" in done.stdout) == (0, True)


def test_a_redis_that_tells_nobody_of_his_slot_is_a_warning(tmp_path: Path, redis_server: RedisServer) -> None:
    path, url = config(tmp_path, redis_server, **LINED), url_of(redis_server, "untold", channels=())
    ok, text = examined("--config", path, "--redis", url, code=0)["line"]
    assert ok
    assert "needs PUBLISH, SUBSCRIBE and the channels cancel_guard:handed:*" in text
    assert "line" not in examined("--config", config(tmp_path, redis_server), "--redis", url, code=0)


def test_a_proxy_without_redis_is_not_wrong(tmp_path: Path) -> None:
    ok, text = examined("--config", config(tmp_path), code=0)["Redis"]
    assert ok
    assert "in each worker alone" in text
    assert "a key could fill its cap once in each" in text


def test_pings_that_are_on_are_no_warning(tmp_path: Path, redis_server: RedisServer) -> None:
    path = config(tmp_path, redis_server)
    settings = yaml.safe_load(path.read_text())
    settings["litellm_settings"]["sse_keepalive_ping_interval_seconds"] = 2
    path.write_text(yaml.safe_dump(settings))
    assert "pings" not in examined("--config", path, code=0)


@pytest.mark.parametrize(
    ("package", "version", "says"),
    [("tiktoken", "0.12.0", "on_loop_stall: exit"), ("granian", "2.8.2", "upgrade it to 2.8.3")],
)
def test_a_package_that_holds_up_a_worker_or_hides_a_client_is_a_warning(
    tmp_path: Path, redis_server: RedisServer, package: str, version: str, says: str
) -> None:
    described = tmp_path / "beside" / f"{package}-{version}.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    env = {"PYTHONPATH": str(described.parent)}
    ok, text = examined("--config", config(tmp_path, redis_server), code=0, env=env)[package]
    assert ok
    assert says in text


@pytest.mark.parametrize(
    ("said", "known_as"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "8.1.1"}, ("7.2.4", "Valkey 8.1.1")),
        ({"redis_version": "7.0.15"}, ("7.0.15", "")),
        ({"127.0.0.1:1": {"redis_version": "7.2.4", "valkey_version": "9.0.0"}}, ("7.2.4", "Valkey 9.0.0")),
    ],
    ids=["valkey", "redis", "a cluster"],
)
async def test_a_server_that_speaks_as_redis_does_is_called_by_its_own_name(
    said: dict[str, Any], known_as: tuple[str, str]
) -> None:
    class Client:
        async def info(self, section: str) -> dict[str, Any]:
            return said if section == "server" else {}

    assert await _version(Client()) == known_as


def test_a_config_that_is_none_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("[")
    assert_one_clear_message(guard("doctor", "--config", tmp_path / "config.yaml"), "no valid YAML")
    assert_one_clear_message(guard("settings", "--config", tmp_path / "config.yaml"), "no valid YAML")


def test_settings_are_shown_with_where_they_come_from(tmp_path: Path) -> None:
    block = {"lease_seconds": "os.environ/LEASE", "redis_timeout": 1}
    path = config(tmp_path, callback_settings={"cancel_guard": block})
    env = {"LEASE": "60", "CANCEL_GUARD_REDIS_TIMEOUT": "3"}
    done = guard("settings", "--config", path, "--json", env=env)
    shown = {name: (one["value"], one["source"]) for name, one in json.loads(done.stdout).items()}

    assert set(shown) == set(Settings.model_fields)
    assert shown["lease_seconds"] == (60, "config")
    assert shown["heartbeat_seconds"] == (20, "a third of lease_seconds")
    assert shown["redis_timeout"] == (3, "environment, CANCEL_GUARD_REDIS_TIMEOUT")
    assert shown["on_redis_error"] == ("local", "default")

    table = guard("settings", "--config", path, env=env | {"COLUMNS": "120"}).stdout
    assert "a third of lease_seconds" in " ".join(table.split())
    narrow = guard("settings", "--config", path, env=env | {"COLUMNS": "80"}).stdout
    assert "…" not in narrow, "what is set can be read in eighty columns"


@pytest.mark.parametrize(
    ("version", "told", "block", "shown"),
    [
        ("1.109.1", "true", {}, ("closed", "general_settings: fail_closed_rate_limit_enforcement")),
        ("1.109.1", "os.environ/CLOSED", {}, ("closed", "general_settings: fail_closed_rate_limit_enforcement")),
        ("1.109.1", "true", {"on_redis_error": "local"}, ("local", "config")),
        ("1.109.1", "perhaps", {}, ("local", "default")),
        ("1.103.11", "true", {}, ("local", "default")),
    ],
)
def test_litellms_own_choice_for_an_outage_is_shown_where_it_is_in_force(
    tmp_path: Path, version: str, told: str, block: dict[str, Any], shown: tuple[str, str]
) -> None:
    general = {"fail_closed_rate_limit_enforcement": told}
    path = config(tmp_path, general_settings=general, callback_settings={"cancel_guard": block})
    env = {**pretend_litellm(version, tmp_path), "CLOSED": "yes"}
    found = json.loads(guard("settings", "--config", path, "--json", env=env).stdout)["on_redis_error"]
    assert (found["value"], found["source"]) == shown
    said = examined("--config", path, code=1, env=env)["settings"]
    assert said[0]
    assert ("on_redis_error: closed" in said[1]) == (shown[0] == "closed")


def test_a_wrong_setting_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    path = config(tmp_path, callback_settings={"cancel_guard": {"lease": 10}})
    done = guard("settings", "--config", path)
    assert (done.returncode, "no such setting" in done.stderr) == (1, True)


def test_all_that_is_set_in_a_way_that_nobody_reads_is_told_by_settings_and_by_doctor(tmp_path: Path) -> None:
    block = {"enabled": False, "lease_seconds": "soon"}
    path = config(tmp_path, callback_settings={"cancel_guard": block, "cancelguard": {}})
    env = {"CANCEL_GUARD_REDIS_TIMEOT": "1"}
    done = guard("settings", "--config", path, "--json", env=env)
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["enabled"]["value"], shown["lease_seconds"]["value"]) == (1, False, 30)
    assert shown["lease_seconds"]["source"] == "default, for it is set wrongly"
    ok, text = examined("--config", path, code=1, env=env)["settings"]
    assert not ok
    for part in ("cancel_guard: lease_seconds", "did you mean CANCEL_GUARD_REDIS_TIMEOUT?", "cancelguard: nobody"):
        assert part in text
        assert part in done.stderr
    assert "The guard is off." in text
