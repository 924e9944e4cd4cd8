"""Data and closed sets: a lease and its endings, the names of slots and keys, workers' records, routes.

What every room above speaks in, one noun for each thing. May import nothing of the guard.
Never here: I/O, a clock that decides, a state that lives longer than one request.
"""
