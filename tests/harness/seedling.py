"""Has LiteLLM imported, and forks a proxy for each line that comes in; run by `-c`, with that version's Python.

Importing LiteLLM takes fourteen of the sixteen seconds of CPU of a proxy's start (1.83 - 1.110). What is forked goes on
as `litellm --config …` does: by that very script, with its own arguments, environment, folder and log.

Lines are JSON: {"fork": {argv, env, cwd, log}} is answered by a pid, {"wait": pid} by its wait status, or null while
it runs. With `out` what is written to standard output goes there, with `first` that is where Python looks first, with
`thaw` the collector looks at what was imported, as it does in a program that was not forked.

Other programs than LiteLLM are forked likewise: the modules to import ahead are then this one's arguments.
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

# Newer releases' script is `litellm_cli.main` (1.110); older ones have no such module.
_SERVERS = ("uvicorn", "gunicorn.app.base")
# Its lock may be held by a thread of LiteLLM's as workers are forked: `config._BEFORE_A_FORK` comes too late for it.
_CODEC = "encodings.ascii"
_AHEAD = (_CODEC, "litellm.proxy.proxy_cli", "litellm.proxy.proxy_server", "litellm_cli.main", *_SERVERS)
_WORKERS = "uvicorn._subprocess"


def main() -> None:
    asked, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    before = dict(os.environ)
    log = os.open(os.devnull, os.O_RDWR)
    os.dup2(log, 0)
    os.dup2(2, 1)
    for name in sys.argv[1:] or _AHEAD:
        with suppress(ImportError):
            importlib.import_module(name)
    # The collector looks at all that was imported several times at each child's end: 4 s of CPU for a LiteLLM.
    gc.collect()
    gc.freeze()
    # LiteLLM sets TIKTOKEN_CACHE_DIR as it is imported; without it a proxy fetches its tokenizers from the internet.
    added = {name: value for name, value in os.environ.items() if name not in before}
    print(json.dumps("ready"), file=answers, flush=True)
    for line in asked:
        order = json.loads(line)
        answer = _waited(order["wait"]) if "wait" in order else _forked(order["fork"], added, (asked, answers))
        print(json.dumps(answer), file=answers, flush=True)


def _waited(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return status if done else None


def _forked(given: dict[str, Any], added: dict[str, str], mine: tuple[Any, ...]) -> int:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        for pipe in mine:
            os.close(pipe.fileno())
        _become(given, added)
        if "uvicorn" in sys.modules:
            _have_workers_forked()
        os.close(told)
        sys.argv = given["argv"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit()
    os.close(told)
    os.read(ready, 1)  # its end of the pipe is closed once it leads a group of its own
    os.close(ready)
    return pid


def _have_workers_forked() -> None:
    """Several workers of uvicorn are started by `spawn`, each of which would import LiteLLM again."""
    with suppress(ImportError):
        workers: Any = importlib.import_module(_WORKERS)
        workers.spawn = multiprocessing.get_context("fork")
    os.register_at_fork(after_in_child=_forget_the_supervisors_signals)


def _forget_the_supervisors_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _become(given: dict[str, Any], added: dict[str, str]) -> None:
    os.setsid()
    if given.get("thaw"):
        gc.unfreeze()
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update({**added, **given["env"]})
    for number, path in ((1, given.get("out", given["log"])), (2, given["log"])):
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, number)
        os.close(log)
    # As Python itself builds it: the script's folder, then PYTHONPATH.
    first = given.get("first", str(Path(given["argv"][0]).parent))
    paths = [first, *filter(None, given["env"].get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[0:1] = paths
    importlib.invalidate_caches()


if __name__ == "__main__":
    main()
