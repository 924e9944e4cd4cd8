"""A stream that fails ends in an error that its client's SDK raises on: found, worded, framed and handed on here.

`terminals` is what the guard asks, once for each request; `outcome` is one stream. Below them: what a chunk means
(`reading`), what really failed (`failure`, `wording`), the last event in each protocol (`events`), and the mends.
"""
