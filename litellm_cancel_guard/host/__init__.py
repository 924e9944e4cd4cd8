"""Everything that touches LiteLLM and what serves it (Starlette, uvicorn, the SDKs), and nothing else does.

Its limiter and what is mended of it, the facts that both lean on, the tasks that serve a request, how a stream and a
server end, the files that load the guard. May import terminal, ledger, gauge, lease, settings and aio.
Never here: a branch on LiteLLM's version number where a capability can be looked for; a fault that breaks a request.
"""
