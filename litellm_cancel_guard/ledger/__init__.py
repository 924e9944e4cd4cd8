"""Who holds what in this worker: requests in flight, their leases, and that each is given back exactly once.

Decisions are made in the registry without awaiting; the ledger, releases, renewals and heartbeat see to it that Redis
follows. May import gauge, lease, settings and aio.
Never here: LiteLLM, Redis by any other way than a gauge, a release that is abandoned half way.
"""
