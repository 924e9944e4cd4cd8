"""Takes what lies beside docs/ into the site: a hook of mkdocs, named in mkdocs.yml.

In the checkout a page of docs/ links to ``../ARCHITECTURE.md``, and README.md to ``docs/settings.md``; in the site all
lie in one folder. Links are rewritten, so that ``mkdocs build --strict`` checks those of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
BESIDE = ("*.md", "config.example.yaml", "LICENSE", "deploy/**/*", "findings/*.md", "findings/*.sh", "findings/*.py")


def on_files(files: Any, config: Any) -> Any:
    """Add them under the names that they have in the checkout."""
    for pattern in BESIDE:
        for path in sorted(path for path in ROOT.glob(pattern) if path.is_file()):
            name = path.relative_to(ROOT).as_posix()
            files.append(File(name, str(ROOT), config["site_dir"], use_directory_urls=False))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have links between docs/ and its surroundings lead to where both lie in the site."""
    if (ROOT / "docs" / page.file.src_uri).exists():
        return markdown.replace("](../", "](")
    return markdown.replace("](docs/", "](").replace("](../docs/", "](../")
