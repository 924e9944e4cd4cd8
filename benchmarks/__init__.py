"""The guard measured against LiteLLM alone: the same run, the same machine, one after the other.

    python -m benchmarks --quick                                  the ratios and verdicts, in five minutes or six
    python -m benchmarks                                          everything, more than an hour
    python -m benchmarks --litellm 1.109.1 --only traffic,pair    some of it
    python -m benchmarks --quick --only arrivals                  requests at a fixed rate, late ones and all
    python -m benchmarks --noise --only throughput                bare against bare: what a ratio can be by chance
    python -m benchmarks.builds COMMIT                            what the scripts cost Redis, beside those of COMMIT
    python -m benchmarks.table RESULTS.json…                      writes what docs/ says of a run

Proxies, provider and redis-server are those of tests/harness, each a process of its own. The proxy under load has the
first core to itself; provider, Redis and clients share the others. With two cores that keeps the proxy the slowest
part: it takes some 5 ms for a request, all the others together 1 ms. A ratio is guard / bare of two runs that follow
one another, in alternating order; what is shown is the median of the ratios, and their quartiles. What a figure should
be is in `targets.py`, what its spread allows to say of that in `verdict.py`: met, missed, or too noisy to tell.

A window of load in which a request failed is thrown away and played again, three times at most; how often it came to
that is among the figures. A quick run forks its proxies from a process that has LiteLLM imported, and plays what does
not differ between LiteLLMs on the last one alone.
"""
