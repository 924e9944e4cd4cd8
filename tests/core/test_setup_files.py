"""Which LiteLLM is installed: found by the package, whatever its distribution is called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.host.setup_files import LiteLLM, distribution

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, name: str, version: str, package: str) -> None:
    described = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir()
    # importlib_metadata, which takes the place of Python's own where it is imported, lists no file that is not there.
    (folder / package).mkdir(exist_ok=True)
    (folder / package / "__init__.py").touch()
    (described / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    (described / "RECORD").write_text(f"{package}/__init__.py,,\n{described.name}/METADATA,,\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that Python looks into."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_it_is_found_under_another_distributions_name(packages: Path) -> None:
    """`litellm-core` 1.106.0 to 1.106.4 is the same package `litellm`."""
    install(packages, "litellm-core", "1.106.4", "litellm")
    install(packages, "litellm-proxy-extras", "0.4.108", "litellm_proxy_extras")
    assert LiteLLM.installed() == LiteLLM("1.106.4")


def test_it_is_the_one_of_its_own_name_where_there_are_two(packages: Path) -> None:
    install(packages, "litellm-core", "1.106.4", "litellm")
    install(packages, "litellm", "1.109.1", "litellm")
    assert LiteLLM.installed() == LiteLLM("1.109.1")


def test_a_companion_alone_is_no_litellm(packages: Path) -> None:
    install(packages, "litellm-enterprise", "0.1.76", "litellm_enterprise")
    assert (distribution(), LiteLLM.installed()) == (None, LiteLLM(None))
