"""Pipelines: stages of expressions over what the database holds.

``functions_*`` are pure functions over values, by name; ``expressions`` compiles an expression to a closure
over rows, ``aggregates`` and ``stages`` compile the rest, ``sources`` tells what to read, ``run`` puts it
together, ``service`` adds access, versions and transactions.
"""
