"""The programs: how each is started, from its file in deploy/front and what a test needs around it."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.process import LOOPBACK, Process, free_port
from tests.harness.programs import required

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parents[2] / "deploy" / "front"
# As the files have it.
LITELLM = "127.0.0.1:4000"
# Apache serves nothing as root.
_AS_NOBODY = "User nobody\nGroup nogroup"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Place:
    """Where a program is started, and what it stands in front of."""

    folder: Path
    litellm: str
    """Host and port."""
    port: int = field(default_factory=free_port)
    """Where it listens as its file says."""
    plain: int = field(default_factory=free_port)
    """Where it listens as it comes."""

    def recommended(self, name: str, *said: tuple[str, str]) -> Path:
        """Its file, with what it *said* of an address said for this place instead."""
        text = (FILES / name).read_text()
        for theirs, ours in said:
            assert theirs in text, f"{name} does not say {theirs}"
            text = text.replace(theirs, ours)
        return self.write(name, text)

    def write(self, name: str, text: str) -> Path:
        """Write a file of this place."""
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Program:
    """One that may stand in front."""

    name: str
    package: str
    command: Callable[[str, Place], list[str]] = field(repr=False)
    told: bool = True
    """Whether LiteLLM is told at once of a client that leaves while nothing is sent."""
    told_as_it_comes: bool = False
    gives_up: int = 0
    """The status with which it gives a request up that is not answered for a minute, as it comes; 0: it waits."""

    def __str__(self) -> str:
        return self.name


class Front:
    """One of them, running."""

    def __init__(self, program: Program, folder: Path, litellm: str) -> None:
        path = required(program.name, program.package)
        place = Place(folder, litellm)
        env = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self.program = program
        self.url, self.plain_url = (f"http://{LOOPBACK}:{port}" for port in (place.port, place.plain))
        self._process = Process(program.name, program.command(path, place), env=env, folder=folder)
        for url in (self.url, self.plain_url):
            self._process.wait_ready(partial(_answers, url), within=30)

    def stop(self) -> None:
        self._process.stop()


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(f"{url}/health/liveliness", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _nginx(path: str, place: Place) -> list[str]:
    file = place.recommended("nginx.conf", (LITELLM, place.litellm), ("listen 8080", f"listen {LOOPBACK}:{place.port}"))
    temporary = "\n".join(
        f"    {kind}_temp_path {place.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    wrapped = f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
pid {place.folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
{temporary}
    include {file};
    server {{ listen {LOOPBACK}:{place.plain}; location / {{ proxy_pass http://litellm; }} }}
}}
"""
    return [path, "-p", str(place.folder), "-e", "stderr", "-c", str(place.write("whole.conf", wrapped))]


def _haproxy(path: str, place: Place) -> list[str]:
    file = place.recommended("haproxy.cfg", (LITELLM, place.litellm), ("bind :8080", f"bind {LOOPBACK}:{place.port}"))
    plain = f"""
defaults as-it-comes
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s

listen plain
    bind {LOOPBACK}:{place.plain}
    server one {place.litellm}
"""
    return [path, "-db", "-f", str(file), "-f", str(place.write("plain.cfg", plain))]


def _caddy(path: str, place: Place) -> list[str]:
    file = place.recommended("Caddyfile", (LITELLM, place.litellm), (":8080", f":{place.port}"))
    options = f"{{\n\tadmin off\n\tdefault_bind {LOOPBACK}\n}}"
    wrapped = f"{options}\nimport {file}\n:{place.plain} {{\n\treverse_proxy {place.litellm}\n}}\n"
    return [path, "run", "--adapter", "caddyfile", "--config", str(place.write("whole", wrapped))]


def _apache(path: str, place: Place) -> list[str]:
    listens = ("Listen 8080", f"Listen {LOOPBACK}:{place.port}")
    file = place.recommended("apache.conf", (LITELLM, place.litellm), listens, ("*:8080", f"*:{place.port}"))
    modules = ("mpm_event", "authz_core", "proxy", "proxy_http")
    loaded = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules)
    wrapped = f"""
{loaded}
{_AS_NOBODY if os.geteuid() == 0 else ""}
ServerName localhost
DefaultRuntimeDir {place.folder}
PidFile {place.folder}/pid
ErrorLog /dev/stderr
Include {file}
Listen {LOOPBACK}:{place.plain}
<VirtualHost *:{place.plain}>
    ProxyPass / http://{place.litellm}/
</VirtualHost>
"""
    return [path, "-DFOREGROUND", "-d", str(place.folder), "-f", str(place.write("whole.conf", wrapped))]


def _varnish(path: str, place: Place) -> list[str]:
    port = place.litellm.rpartition(":")[2]
    file = place.recommended("varnish.vcl", ('.port = "4000"', f'.port = "{port}"'))
    # What is said twice holds in this order.
    plain = 'sub vcl_recv { if (local.socket == "plain") { return (pass); } }'
    wrapped = place.write("whole.vcl", f'vcl 4.1;\n{plain}\ninclude "{file}";\n')
    doors = ["-a", f"as_configured={LOOPBACK}:{place.port}", "-a", f"plain={LOOPBACK}:{place.plain}"]
    room = ["-n", str(place.folder / "work"), "-s", "malloc,32m", "-j", "none"]
    return [path, "-F", "-f", str(wrapped), *doors, *room, "-p", "pipe_timeout=600"]


PROGRAMS = (
    Program("nginx", "nginx", _nginx, told_as_it_comes=True, gives_up=504),
    Program("haproxy", "haproxy", _haproxy, gives_up=504),
    Program("caddy", "caddy", _caddy, told_as_it_comes=True),
    Program("apache2", "apache2-bin", _apache, told=False, gives_up=502),
    Program("varnishd", "varnish", _varnish, gives_up=503),
)
