"""What the adapters lean on, numbered, with version and source; tests/limiter/test_facts.py fails when one expires.

F1. The proxy's limiter is ``proxy_logging_obj.get_proxy_hook("parallel_request_limiter")``, whatever its class.
    1.80 - 1.110, proxy/utils.py.
F2. Its ``should_rate_limit(descriptors=...)`` is where each version decides, called on ``self`` from its pre-call
    hook, so that an attribute of the instance takes its place. 1.80 - 1.110,
    proxy/hooks/parallel_request_limiter_v3.py.
F3. From 1.94 ``should_rate_limit`` has a parameter ``parallel_slot_id``, and a key's slots are a sorted set with one
    member a slot; before that they are one number in a window.
F4. Only the ``api_key`` descriptor carries ``max_parallel_requests``. 1.80 - 1.110, ``_create_rate_limit_descriptors``.
F5. LiteLLM prunes a slot 3600 s after its score (``PARALLEL_REQUEST_SLOT_TTL_SECONDS``), on Redis' clock.
    1.94 - 1.110.
F6. The counting limiter counts down with an increment of -1 on ``...:max_parallel_requests`` from three places:
    ``async_increment_tokens_with_ttl_preservation(pipeline_operations)`` after a success, and
    ``dual_cache.async_increment_cache_pipeline(increment_list)`` after a failure and, in 1.90 - 1.93, a disconnect.
    All of them also count down what never counted up (1.80 - 1.93).
F7. From 1.91 LiteLLM's scripts put the configured namespace before every key; before that they use bare keys
    (caching/redis_cache.py, ``async_register_script``). Since 1.110 it is the one that the cache was made with
    (``store_settings``); ``cache_params.namespace`` is put on the cache later (caching/caching.py), so bare keys again.
F8. The limiter raises its 429 from the first status of the response whose ``code`` is ``OVER_LIMIT``
    (``_handle_rate_limit_error``), and the ``x-ratelimit-*`` headers come from the statuses of an admission.
F9. Callbacks of config.yaml come before the limiter in ``litellm.callbacks``, those added at run time after it; the
    pre-call hooks run in that order. 1.80 - 1.110, proxy_server.py, proxy/utils.py.
F10. The slot limiter gives back what it holds by ``_release_parallel_request_slots(acquisition)``, 1.94 - 1.110, and
    from its log events, since 1.105, by ``_defer_parallel_slot_release(acquisition, span)``; an ``acquisition`` is a
    dict with the ``slot_id`` that ``should_rate_limit`` was given.
F11. An ``HTTPException`` from ``should_rate_limit`` reaches the client with its status, in its route's error shape;
    from 1.105 the limiter raises its own 503 there (``RateLimitUnverifiableError``).
F12. It does so where ``_fail_closed_resolver()`` says that ``general_settings.fail_closed_rate_limit_enforcement`` is
    on: what pydantic takes for a true bool, nothing else. 1.105 - 1.110; it has no variable of the environment.
F13. The counting limiter's ``should_rate_limit`` runs ``batch_rate_limiter_script(keys=, args=)``, whose text is its
    module's ``BATCH_RATE_LIMITER_SCRIPT``, once for the keys of each hash tag, and takes every Exception from it for
    an outage (``_execute_redis_batch_rate_limiter_script``). 1.80 - 1.93.
F14. ``guardrails:`` are loaded after ``callbacks:`` and before the limiter, and stream hooks nest in the order of
    ``litellm.callbacks``: a guardrail that looks at answers reads the guard's stream, and takes a text in it for a
    fault of its own, or for nothing. 1.80 - 1.110, proxy_server.py, proxy/utils.py.
F15. What a success adds is a dict with ``key``, ``increment_value`` and ``ttl``; since 1.110 it is a frozen record with
    ``counter``, ``amount`` and ``ttl``, and a counter's ``suffix`` says what it counts
    (redis/stores/rate_limits/types.py).
F16. The limiter counts in Redis where ``rate_limits.has_redis`` is true (1.110), or where its script
    (``parallel_acquire_script``, before 1.94 ``batch_rate_limiter_script``) is there and not None (1.80 - 1.109).
F17. In 1.108.14 and since 1.109.2 a request whose key is in LiteLLM's cache is refused before its body is read, by
    ``raise_if_over_limit_before_body``, which looks at the slots, too (``read_only=True``); what it lets pass comes to
    the pre-call hook as ever.
F18. LiteLLM's Redis client of an event loop is made by ``_redis.get_redis_connection_pool`` and
    ``get_redis_async_client``, both of the cache's ``redis_kwargs``. 1.80 - 1.110, caching/redis_cache.py.
"""

from __future__ import annotations

NAMESPACED_SCRIPTS_SINCE = (1, 91)  # F7
FAILS_CLOSED_SINCE = (1, 105)  # F12

LIMITER_HOOK = "parallel_request_limiter"  # F1
SLOT_PARAMETER = "parallel_slot_id"  # F3
CAPPED_DESCRIPTOR = "api_key"  # F4
CAP = "max_parallel_requests"
WINDOW = "window_size"  # beside the limits of a descriptor, and none itself
OVER_LIMIT = "OVER_LIMIT"  # F8
SCRIPT, SCRIPT_TEXT = "batch_rate_limiter_script", "BATCH_RATE_LIMITER_SCRIPT"  # F13
READING = ("async_post_call_streaming_iterator_hook", "apply_guardrail")  # F14
BASES = ("litellm.integrations.custom_logger", "litellm.integrations.custom_guardrail")
SLOT_TTL_CONSTANT = "PARALLEL_REQUEST_SLOT_TTL_SECONDS"  # F5
