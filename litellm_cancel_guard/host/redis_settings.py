"""The Redis that a LiteLLM config means, read without LiteLLM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.connect import NoRedisError, Target
from litellm_cancel_guard.host.environ import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

# LiteLLM takes REDIS_<NAME> for each parameter of redis-py; these are the ones that make a connection.
_NAMES = (
    *("url", "host", "port", "db", "username", "password", "ssl", "startup_nodes"),
    *("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"),
    *("sentinel_nodes", "sentinel_password", "service_name"),
)
_FROM_ENVIRON = {**{f"REDIS_{name.upper()}": name for name in _NAMES}, "REDIS_CLUSTER_NODES": "startup_nodes"}
_TARGETS = ("url", "host", "startup_nodes", "sentinel_nodes")
_TRUE = ("true", "1", "yes")


def target_of(url: str | None, config: Mapping[str, Any] | None, environ: Mapping[str, str]) -> Target:
    """Return the Redis of *url*, else of LiteLLM's *config*, else of the environment, as LiteLLM takes them.

    Raises:
        NoRedisError: there is none.
    """
    if url:
        return Target({"url": url}, environ.get("REDIS_NAMESPACE", ""), "--redis")
    given, source = _of_config(config, environ) if config is not None else ({}, "the environment")
    from_environ = {name: environ[variable] for variable, name in _FROM_ENVIRON.items() if environ.get(variable)}
    if any(given.get(name) for name in ("host", "startup_nodes", "sentinel_nodes")):
        from_environ.pop("url", None)
    params = _plain({**from_environ, **given})
    namespace = str(params.pop("namespace", None) or environ.get("REDIS_NAMESPACE", ""))
    if not any(params.get(name) for name in _TARGETS):
        raise NoRedisError(f"{source} names no Redis: give --redis URL, --config, or REDIS_HOST in the environment.")
    return Target(params, namespace, source)


def _of_config(config: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    coordination = _block(config, "general_settings").get("coordination_redis")
    if isinstance(coordination, dict):
        return _known(resolved(coordination, environ)), "general_settings.coordination_redis"
    settings = _block(config, "litellm_settings")
    if not settings.get("cache"):
        raise NoRedisError(
            "With this config LiteLLM counts in each worker alone: litellm_settings has no `cache: true`. "
            "Give --redis URL to look into a Redis all the same."
        )
    params = resolved(_block(settings, "cache_params"), environ)
    if params.get("type", "redis") not in ("redis", "redis-semantic"):
        return {}, "the environment"
    return _known(params), "litellm_settings.cache_params"


def _block(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    block = config.get(name) or {}
    if not isinstance(block, dict):
        raise NoRedisError(f"{name} is no block of settings, but a {type(block).__name__}.")
    return block


def _known(params: dict[str, Any]) -> dict[str, Any]:
    nodes = params.get("redis_startup_nodes")
    known = {name: params[name] for name in (*_NAMES, "namespace") if params.get(name) is not None}
    return {**known, "startup_nodes": nodes} if nodes and "startup_nodes" not in known else known


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Return *params* as redis-py wants them; from the environment all of them are text."""
    plain = dict(params)
    for name in ("startup_nodes", "sentinel_nodes"):
        if isinstance(plain.get(name), str):
            try:
                plain[name] = json.loads(plain[name])
            except ValueError:
                raise NoRedisError(f"{name} is no JSON list of nodes: {plain[name]!r}.") from None
    for name in ("port", "db"):
        if name in plain:
            try:
                plain[name] = int(plain[name])
            except (TypeError, ValueError):
                raise NoRedisError(f"the {name} of Redis is no number: {plain[name]!r}.") from None
    for name in ("ssl", "ssl_check_hostname"):
        if isinstance(plain.get(name), str):
            plain[name] = plain[name].lower() in _TRUE
    if plain.get("url") and not plain.get("startup_nodes"):
        plain = {name: plain[name] for name in ("url", "namespace") if name in plain}
    return plain
