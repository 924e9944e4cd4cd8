"""Tools for asyncio that know nothing of slots, Redis or LiteLLM.

Work that is finished although its caller was cancelled, deadlines, tasks that begin at once, and the watch over the
event loop. May import redaction alone.
Never here: a request, a lease, a setting read by itself.
"""
