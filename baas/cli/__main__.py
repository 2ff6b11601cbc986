"""``python -m baas.cli``: the same as ``homefire``."""

from baas.cli import main

main()
