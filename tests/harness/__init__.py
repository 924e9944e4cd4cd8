"""What the proxy tests stand on: real LiteLLM proxies, a real Redis and a scripted provider, all on loopback.

    pytest tests/exits                                  the LiteLLM installed here, guarded
    pytest tests/exits --litellm 1.83.14,1.109.1        those versions; `all` is every one in versions.py
    pytest tests/exits --bare                           LiteLLM alone: shows what leaks without the guard
    python -m tests.harness.venvs all                   build the environments ahead

A test asks for the fixtures `caller` and `key` (cap 4), and runs once for each version:

    async def test_something(caller, key, redis_server):
        script = replace(caller.script(), stall="2")                  what the provider shall do: script.py
        async with caller.opened(ROUTES["messages"], key, script) as stream:
            await stream.read_chunks(2)                               read, hold, and hang up by leaving
        await caller.left(script.run)
        await caller.provider.wait(script.run, open=0)                events of the provider instead of sleeps
        assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
        assert await caller.admitted_at_once(key, cap=4) == (4, 2)

`caller.plain`, `caller.streamed`, `caller.hang_up_mid` and `caller.hang_up_before_first` are the usual requests.
A proxy of one's own, to kill, or with other settings:

        own = proxies.start(replace(setup, workers=2, env=(("NAME", "value"),), settings="general_settings: {...}"))
        caller = call_on(own)
"""
