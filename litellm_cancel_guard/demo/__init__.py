"""`litellm-cancel-guard demo`: the leak and its cure on a real LiteLLM, on a machine with Python and nothing else.

A Redis, a provider and a proxy of its own, each a process that ends with it. May import host, lease, settings and aio.
Never here: anything that a proxy in production runs.
"""
