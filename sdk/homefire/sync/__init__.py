"""The SDK without ``await``: the modules of :mod:`homefire`, each with a synchronous twin here.

Listeners call back from threads of their own.
"""
