"""The Homefire server: a Firebase-style backend in one process."""

__version__ = "0.1.0"
