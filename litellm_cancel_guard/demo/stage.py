"""What stands around the proxies: folder, Redis, provider, the Python that has LiteLLM."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo import children, venvs
from litellm_cancel_guard.demo.proxy import Proxy, Surroundings
from litellm_cancel_guard.host.setup_files import LiteLLM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from litellm_cancel_guard.demo.options import Options
    from litellm_cancel_guard.demo.screen import Screen

_HERE = Path(__file__).parent
_LISTENING_SECONDS = 20.0


async def built(options: Options, stack: ExitStack, screen: Screen) -> Surroundings:
    """Start everything that both proxies need; it ends with `stack`."""
    executable, litellm = sys.executable, LiteLLM.installed()
    if options.litellm and options.litellm != litellm.version:
        executable, litellm = await venvs.python_with(options.litellm, screen), LiteLLM(options.litellm)
    folder = stack.enter_context(_folder())
    provider = await _listening("The provider", "provider.py", folder, stack)
    url = options.redis or f"redis://127.0.0.1:{await _listening('Redis', 'embedded_redis.py', folder, stack)}/0"
    return Surroundings(folder, url, f"http://127.0.0.1:{provider}", executable, litellm)


def forget(redis_url: str, proxies: Sequence[Proxy]) -> None:
    """Remove what the demo's keys left in a Redis that isn't the demo's own."""
    import redis

    with suppress(redis.RedisError, OSError), redis.Redis.from_url(redis_url, socket_timeout=2) as client:
        for key_hash in [key_hash for proxy in proxies for key_hash in proxy.key_hashes]:
            left = list(client.scan_iter(f"*{key_hash}*", count=1000))
            if left:
                client.delete(*left)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="litellm-cancel-guard-"))
    try:
        yield folder
    except children.DemoError as error:
        raise type(error)(f"{error}\nThe logs are in {folder}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


async def _listening(name: str, file: str, folder: Path, stack: ExitStack) -> int:
    port = children.free_port()
    target = str(_HERE / file)
    child = stack.enter_context(children.python(name, target, [str(port)], folder=folder / Path(file).stem))
    deadline = time.monotonic() + _LISTENING_SECONDS
    while time.monotonic() < deadline:
        child.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return port
        await asyncio.sleep(0.05)
    raise children.DemoError(f"{name} didn't start.\n{child.tail()}")
