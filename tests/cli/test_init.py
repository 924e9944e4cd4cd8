"""`init`: what it writes, what it says, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from litellm_cancel_guard.host import setup_files
from tests.cli.command import assert_one_clear_message, guard, pretend_litellm

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_GUARD = "model_list: []\n"
OLD, NEW = "1.83.14", "1.94.0"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "proxy" / "config.yaml"
    path.parent.mkdir()
    path.write_text(WITHOUT_GUARD)
    return path


@pytest.fixture
def shim(config: Path) -> Path:
    return config.with_name("litellm_cancel_guard.py")


@pytest.mark.parametrize("version", ["1.80.0", "1.83.14", "1.93.2", "1.93.0rc1"])
def test_a_litellm_that_only_loads_files_gets_one(version: str, config: Path, shim: Path, tmp_path: Path) -> None:
    done = guard("init", "--config", config, env=pretend_litellm(version, tmp_path))
    assert done.returncode == 0, done
    assert shim.read_text() == setup_files.SHIM
    assert f"LiteLLM {version} loads callbacks only from files" in done.stdout
    assert f"Wrote: {shim}" in done.stdout
    assert config.read_text() == WITHOUT_GUARD


@pytest.mark.parametrize("version", ["1.94.0", "1.109.1", "2.0.0", "1.94.0.dev3"])
def test_a_litellm_that_imports_packages_needs_no_file(version: str, config: Path, shim: Path, tmp_path: Path) -> None:
    done = guard("init", "--config", config, env=pretend_litellm(version, tmp_path))
    assert done.returncode == 0, done
    assert "no file is needed" in done.stdout
    assert not shim.exists()


def test_a_config_for_another_machine_gets_the_file_in_any_case(config: Path, shim: Path, tmp_path: Path) -> None:
    done = guard("init", "--config", config, "--shim", "always", env=pretend_litellm(NEW, tmp_path))
    assert done.returncode == 0, done
    assert shim.read_text() == setup_files.SHIM


def test_repeating_it_changes_nothing(config: Path, shim: Path, tmp_path: Path) -> None:
    env = pretend_litellm(OLD, tmp_path)
    guard("init", "--config", config, env=env)
    written = shim.stat().st_mtime_ns
    again = guard("init", "--config", config, env=env)
    assert again.returncode == 0
    assert f"Already there: {shim}" in again.stdout
    assert shim.stat().st_mtime_ns == written


def test_a_file_of_an_earlier_guard_is_updated(config: Path, shim: Path, tmp_path: Path) -> None:
    shim.write_text(f"{setup_files.SHIM_MARK} earlier words\nfrom somewhere import handler\n")
    done = guard("init", "--config", config, env=pretend_litellm(OLD, tmp_path))
    assert f"Updated: {shim}" in done.stdout
    assert shim.read_text() == setup_files.SHIM


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("theirs", [b"handler = 1\n", b"", b"\xff"])
def test_a_file_of_somebody_else_stays(version: str, theirs: bytes, config: Path, shim: Path, tmp_path: Path) -> None:
    shim.write_bytes(theirs)
    assert_one_clear_message(guard("init", "--config", config, env=pretend_litellm(version, tmp_path)), str(shim))
    assert shim.read_bytes() == theirs


def test_a_link_is_not_written_through(config: Path, shim: Path, tmp_path: Path) -> None:
    shim.symlink_to(tmp_path / "elsewhere.py")
    assert_one_clear_message(guard("init", "--config", config, env=pretend_litellm(OLD, tmp_path)), str(shim))
    assert not (tmp_path / "elsewhere.py").exists()


def test_the_file_goes_beside_the_path_that_litellm_is_given(config: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted.yaml"
    mounted.symlink_to(config)
    guard("init", "--config", mounted, env=pretend_litellm(OLD, tmp_path))
    assert (tmp_path / "litellm_cancel_guard.py").exists()


def printed_yaml(stdout: str) -> object:
    return yaml.safe_load(stdout[stdout.index("litellm_settings:\n") :])


@pytest.mark.parametrize(
    ("config_text", "callbacks"),
    [
        ("", ["litellm_cancel_guard.handler"]),
        ("litellm_settings:\n", ["litellm_cancel_guard.handler"]),
        ("litellm_settings: {callbacks: []}", ["litellm_cancel_guard.handler"]),
        ("litellm_settings: {callbacks: prometheus}", ["prometheus", "litellm_cancel_guard.handler"]),
        ("litellm_settings: {callbacks: [otel, s3]}", ["otel", "s3", "litellm_cancel_guard.handler"]),
    ],
)
def test_it_prints_the_lines_to_add_and_keeps_the_other_callbacks(
    config_text: str, callbacks: list[str], config: Path
) -> None:
    config.write_text(config_text)
    done = guard("init", "--config", config)
    assert done.returncode == 0, done
    assert printed_yaml(done.stdout) == {"litellm_settings": {"callbacks": callbacks}}


@pytest.mark.parametrize("named", ["[litellm_cancel_guard.handler]", "litellm_cancel_guard.handler"])
def test_a_config_that_is_ready_is_left_at_that(named: str, config: Path) -> None:
    config.write_text(f"litellm_settings:\n  callbacks: {named}\n")
    done = guard("init", "--config", config)
    assert done.returncode == 0, done
    assert "already names litellm_cancel_guard.handler" in done.stdout
    assert "litellm_settings:" not in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        "litellm_cancel_guard.CancelGuard",
        "litellm_cancel_guard",
        "litellm_cancel_guard.guard._PROXY_CancelGuard",
        "litellm_cancel_guard.entry.handler",
        "litellm-cancel-guard.handler",
        "cancel_guard.handler",
    ],
)
def test_a_name_that_is_not_the_handlers_is_an_error_that_says_what_to_write(wrong: str, config: Path) -> None:
    config.write_text(f"litellm_settings:\n  callbacks: [otel, {wrong}]\n")
    done = guard("init", "--config", config)
    assert done.returncode == 1, done
    assert f"names {wrong}, which is not the guard's name" in done.stdout
    assert printed_yaml(done.stdout) == {"litellm_settings": {"callbacks": ["otel", "litellm_cancel_guard.handler"]}}


@pytest.mark.parametrize(
    "where", ["callbacks", "litellm_settings.success_callback", "litellm_settings.failure_callback"]
)
def test_a_place_where_the_guard_has_no_effect_is_an_error(where: str, config: Path) -> None:
    *outer, name = where.split(".")
    named = {name: ["litellm_cancel_guard.handler"]}
    config.write_text(yaml.safe_dump({outer[0]: named} if outer else named))
    done = guard("init", "--config", config)
    assert done.returncode == 1, done
    assert f"names the guard under {where}, where it has no effect" in done.stdout


def test_files_that_the_config_includes_are_mentioned(config: Path) -> None:
    config.write_text("include: [more.yaml]\n")
    assert "includes other files" in guard("init", "--config", config).stdout


@pytest.mark.parametrize(
    ("config_bytes", "word"),
    [
        (b"litellm_settings: [", "no valid YAML: line 1"),
        (b"a: !ENV x", "no valid YAML: line 1"),
        (b"\x00", "no valid YAML"),
        (b"since: 2026-13-45", "no valid YAML: month"),
        (b"[" * 3000, "no valid YAML: maximum recursion depth"),
        (b"\xff\xfe\xff", "UTF-8"),
        (b"- a list", "not a mapping"),
        (b"just words", "not a mapping"),
        (b"litellm_settings: [a]", "litellm_settings is a list"),
        (b"litellm_settings: {callbacks: {a: 1}}", "callbacks is a mapping"),
    ],
)
def test_a_file_that_is_no_config_gets_one_message_and_no_shim(
    config_bytes: bytes, word: str, config: Path, shim: Path, tmp_path: Path
) -> None:
    config.write_bytes(config_bytes)
    done = guard("init", "--config", config, env=pretend_litellm(OLD, tmp_path))
    assert_one_clear_message(done, str(config), word)
    assert not shim.exists()


def test_a_path_that_is_not_there_gets_one_message(tmp_path: Path) -> None:
    assert_one_clear_message(guard("init", "--config", tmp_path / "no" / "config.yaml"), "no such file or directory")


def test_a_path_through_a_file_gets_one_message(config: Path) -> None:
    assert_one_clear_message(guard("init", "--config", config / "config.yaml"), "not a directory")


def test_a_folder_gets_one_message(tmp_path: Path) -> None:
    assert_one_clear_message(guard("init", "--config", tmp_path), "is a directory")


def test_a_folder_that_takes_no_file_gets_one_message(tmp_path: Path) -> None:
    # /proc refuses new files to root as well, and its meminfo happens to be a YAML mapping.
    done = guard("init", "--config", "/proc/meminfo", env=pretend_litellm(OLD, tmp_path))
    assert_one_clear_message(done, "/proc/litellm_cancel_guard.py can't be written")


def test_a_folder_in_the_place_of_the_file_gets_one_message(config: Path, shim: Path, tmp_path: Path) -> None:
    shim.mkdir()
    assert_one_clear_message(guard("init", "--config", config, env=pretend_litellm(OLD, tmp_path)), "is a directory")


def test_a_litellm_before_1_80_is_refused(config: Path, shim: Path, tmp_path: Path) -> None:
    done = guard("init", "--config", config, env=pretend_litellm("1.79.3", tmp_path))
    assert_one_clear_message(done, "LiteLLM 1.79.3", "1.80 and newer")
    assert not shim.exists()


def test_a_litellm_of_unknown_version_gets_the_file_that_every_version_takes(
    config: Path, shim: Path, tmp_path: Path
) -> None:
    done = guard("init", "--config", config, env=pretend_litellm("main", tmp_path))
    assert done.returncode == 0, done
    assert "can't be told (main)" in done.stdout
    assert shim.exists()


def test_no_litellm_at_all_is_an_unknown_version() -> None:
    assert setup_files.LiteLLM(None).needs_shim
    assert not setup_files.LiteLLM(None).too_old


def test_the_exit_codes_are_in_the_help() -> None:
    shown = guard("init", "--help").stdout
    assert "Exit codes:\n    0  done" in shown
