"""``kubectl changeover``: see and steer benchmarks and migrations from a terminal.

It talks to the cluster through ``kubectl`` itself, so it needs no rights, context or login of its own.
"""
