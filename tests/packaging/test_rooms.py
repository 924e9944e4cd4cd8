"""What the import contracts can't see: LiteLLM looked up by its name, where nothing is imported."""

from __future__ import annotations

import re
from pathlib import Path

import litellm_cancel_guard

PACKAGE = Path(litellm_cancel_guard.__file__).parent
LOOKED_UP = re.compile(r"""(?:modules\b.{0,10}|import_module\(|find_spec\()["']litellm\b""")


def test_no_room_but_the_hosts_looks_litellm_up() -> None:
    rooms = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if LOOKED_UP.search(path.read_text())
    }
    assert {name for name in rooms if not name.startswith(("host/", "demo/")) and name != "guard.py"} == set()
    assert any(name.startswith("host/") for name in rooms)
