"""The Python client of Homefire: Firebase's modular API, in snake_case.

Everything is in the modules that Firebase names: :mod:`homefire.app`, :mod:`homefire.auth`,
:mod:`homefire.firestore` and :mod:`homefire.storage`, all asynchronous. :mod:`homefire.sync` holds
the same modules without ``await``; :mod:`homefire.testing` tests security rules.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
