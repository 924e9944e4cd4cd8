"""A guarded proxy does what a bare one of the same LiteLLM does, but for what is allowed, each with its reason.

    pytest -m difference --litellm 1.83.14,1.109.1
    pytest -m difference --litellm 1.110.2 --difference-json found.json     every difference, as data

The same script of requests (`cases`) is played against both, each with a Redis of its own (`play`): what lies in Redis
at rest besides slots, what a callback was told, how often the provider was asked, status, headers and bytes. What
differs (`compare`) must be on the list (`allowed`). Others can have the list as data: `compared.compared`.
"""
