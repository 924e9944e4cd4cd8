"""deploy/release: refuses at once what would be wrong, and tags only what was built, checked and tested."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import litellm_cancel_guard

ROOT = Path(__file__).parents[2]
PACKAGE = Path(litellm_cancel_guard.__file__).parent
[VERSION] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


class Checkout:
    """A repository of its own with this project in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("git", "init", "-q", "-b", "main")
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "release", folder / "deploy" / "release")
        shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        self.commit()

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        who = {f"GIT_{role}_{what}": "release" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environ = {**os.environ, **who, "PYTHONPATH": "", "GIT_CONFIG_GLOBAL": "/dev/null", **env}
        return subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)

    def commit(self) -> None:
        self.run("git", "add", "-A")
        done = self.run("git", "commit", "-qm", "The project as it is")
        assert done.returncode == 0, done.stderr

    def date(self) -> None:
        """Give the changelog's newest version its day, as is done for a release."""
        log = self.folder / "CHANGELOG.md"
        log.write_text(re.sub(rf"(?m)^## \[{VERSION}\].*$", f"## [{VERSION}] - 2026-12-01", log.read_text()))
        self.commit()

    def tags(self) -> list[str]:
        return self.run("git", "tag").stdout.split()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("version", "why"),
    [("", "which version"), ("v0.1", "no version"), ("99.0.0", "pyproject.toml"), (VERSION, "CHANGELOG.md has no")],
)
def test_a_version_that_is_not_ready_is_refused_at_once(checkout: Checkout, version: str, why: str) -> None:
    log = checkout.folder / "CHANGELOG.md"
    log.write_text(log.read_text().replace(f"## [{VERSION}]", "## [0.0.1]"))
    checkout.commit()
    done = checkout.run("deploy/release", *filter(None, [version]), RELEASE_TESTS="false")
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    assert checkout.tags() == []


def test_changes_that_are_not_committed_and_a_tag_that_is_there_are_refused(checkout: Checkout) -> None:
    checkout.date()
    checkout.run("git", "tag", f"v{VERSION}")
    done = checkout.run("deploy/release", VERSION)
    assert (done.returncode, "a tag" in done.stderr) == (2, True), done.stderr
    (checkout.folder / "README.md").write_text("changed")
    done = checkout.run("deploy/release", VERSION)
    assert (done.returncode, "not committed" in done.stderr) == (2, True), done.stderr


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_what_was_built_checked_and_tested_is_tagged_with_its_notes_and_no_other(checkout: Checkout) -> None:
    checkout.date()
    failed = checkout.run("deploy/release", VERSION, RELEASE_TESTS="echo no; exit 1")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert (checkout.tags(), (checkout.folder / "dist").exists()) == ([], False)

    done = checkout.run("deploy/release", VERSION, RELEASE_TESTS="test -f pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout
    assert checkout.tags() == [f"v{VERSION}"]
    notes = checkout.run("git", "tag", "-l", "--format=%(contents)", f"v{VERSION}").stdout
    assert notes.startswith(f"## [{VERSION}] - 2026-12-01\n")
    assert "### Added" in notes
    built = sorted(path.name for path in (checkout.folder / "dist").iterdir())
    assert built == [f"litellm_cancel_guard-{VERSION}-py3-none-any.whl", f"litellm_cancel_guard-{VERSION}.tar.gz"]
