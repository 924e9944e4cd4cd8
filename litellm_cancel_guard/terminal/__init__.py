"""How a stream ends: a failed one in an error that its client's SDK raises on, found, read, worded and framed here.

`outcome` is one stream; below it: what a chunk means (`reading`), what really failed (`failure`, `wording`) and the
last event in each protocol (`events`). Knows the protocols. May import the ledger's observer, lease, settings and aio.
Never here: a call into LiteLLM (`host.terminals` hands in what it takes), a word to a client that was not cleaned.
"""
