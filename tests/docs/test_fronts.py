"""What the documentation has operators put in front of the proxy is what tests/servers plays."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = {
    "nginx": "nginx.conf",
    "haproxy": "haproxy.cfg",
    "caddyfile": "Caddyfile",
    "apache": "apache.conf",
    "vcl": "varnish.vcl",
}


def test_the_page_shows_the_files_that_are_played() -> None:
    page = (ROOT / "docs" / "reverse-proxies.md").read_text()
    shown = dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    files = {path.name: path.read_text() for path in (ROOT / "deploy" / "front").iterdir()}
    assert {LANGUAGES[name]: text for name, text in shown.items() if name in LANGUAGES} == files
