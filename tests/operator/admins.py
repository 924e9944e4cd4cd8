"""Who asks the guard's routes, by the key that he has."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tests.harness.keys import MASTER_KEY

if TYPE_CHECKING:
    import httpx

    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy

ON: dict[str, Any] = {
    "beside": ("admin_auth.py",),
    "settings": "general_settings: {custom_auth: admin_auth.user_api_key_auth}\n"
    "callback_settings: {cancel_guard: {admin_routes: true, lease_seconds: 6, heartbeat_seconds: 0.5}}",
}
SLOTS, RELEASE, HEALTH = "/cancel_guard/slots", "/cancel_guard/release", "/cancel_guard/health"


class Admin:
    """Whoever has a key, and asks."""

    def __init__(self, http: httpx.AsyncClient, proxy: Proxy, secret: str = MASTER_KEY) -> None:
        self._http = http
        self._proxy = proxy
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    async def get(self, **query: str) -> httpx.Response:
        return await self._http.get(f"{self._proxy.url}{SLOTS}", params=query, headers=self._headers)

    async def post(self, **body: Any) -> httpx.Response:
        return await self._http.post(f"{self._proxy.url}{RELEASE}", json=body, headers=self._headers)

    async def post_raw(self, content: bytes, kind: str) -> httpx.Response:
        headers = {**self._headers, **({"content-type": kind} if kind else {})}
        return await self._http.post(f"{self._proxy.url}{RELEASE}", content=content, headers=headers)

    async def health(self) -> Any:
        answer = await self._http.get(f"{self._proxy.url}{HEALTH}", headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def shown(self, key: Key) -> Any:
        answer = await self.get(key=key.name)
        assert answer.status_code == 200, answer.text
        assert key.secret not in answer.text
        return answer.json()["keys"][0]


def role(name: str) -> str:
    return f"sk-as_{name}-{secrets.token_hex(8)}"


async def statuses(http: httpx.AsyncClient, proxy: Proxy, secret: str) -> tuple[int, int]:
    """Of looking, and of giving back what is not held."""
    admin = Admin(http, proxy, secret)
    return (await admin.get()).status_code, (await admin.post(key="ab" * 32, all=True)).status_code
