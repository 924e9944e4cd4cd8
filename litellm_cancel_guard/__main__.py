"""``python -m litellm_cancel_guard``, where the console script is not on the path."""

from __future__ import annotations

from litellm_cancel_guard.operator.cli import main

if __name__ == "__main__":
    main(prog_name="python -m litellm_cancel_guard")
