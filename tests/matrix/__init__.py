"""Every route with every ending, on each LiteLLM asked for: `pytest -m matrix --litellm 1.83.14,1.109.1`.

    pytest -m matrix --litellm all --matrix-json guarded.json            what the guard makes of it
    pytest -m matrix --litellm all --matrix-json bare.json --bare        what LiteLLM alone leaves behind; nothing fails
    pytest -m matrix --litellm all --matrix-differing                    only cells in which a version differs (CI)
    pytest -m matrix --matrix-short --matrix-workers 2                       a few minutes of it, on two proxies in turn
    python -m tests.matrix.table bare.json guarded.json                  the table in docs/measured.md from the two

The cells of one version share its proxies and are played side by side, each with a key of its own.
"""
