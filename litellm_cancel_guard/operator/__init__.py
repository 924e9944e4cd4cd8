"""What an operator sees and sets: metrics, log lines, admin routes, settings that are reloaded, the command line.

May import host, ledger, gauge, lease and settings, and, the command line alone, the demo.
Never here: what a request has to wait for; a key, a prompt or a header in what is shown.
"""
