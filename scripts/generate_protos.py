"""Compile baas/wire/proto/*.proto into the descriptor file that the server loads.

Run it after a change of a .proto file; it needs the development dependency ``grpcio-tools``::

    python scripts/generate_protos.py
"""

from __future__ import annotations

import importlib.resources
import sys
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "baas" / "wire" / "proto"


def main(output: str = str(DIRECTORY / "firestore.desc")) -> int:
    """Compile into ``output``; answers protoc's exit code."""
    from grpc_tools import protoc  # type: ignore[import-untyped]

    well_known = importlib.resources.files("grpc_tools") / "_proto"
    sources = sorted(path.name for path in DIRECTORY.glob("*.proto"))
    arguments = [
        "protoc",
        f"-I{DIRECTORY}",
        f"-I{well_known}",
        "--include_imports",
        f"--descriptor_set_out={output}",
        *sources,
    ]
    return int(protoc.main(arguments))


if __name__ == "__main__":
    sys.exit(main())
