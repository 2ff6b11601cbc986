"""Start a server on a free port with a fresh data folder, and run the founding example against it.

Needs the packages `homefire-server` and `homefire`, nothing else. Exits with the example's status.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parent / "blog"


def main() -> int:
    """Run it; answers the exit status."""
    with tempfile.TemporaryDirectory(prefix="homefire-demo-") as folder:
        command = [sys.executable, "-m", "baas.cli", "serve", "--port", "0", "--data", folder]
        command += ["--project", "myapp", "--rules", str(EXAMPLE / "firestore.rules.json")]
        command += ["--storage-rules", str(EXAMPLE / "storage.rules")]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = wait_for_address(server)
            print(f"Homefire is at {address}", flush=True)
            example = subprocess.run(
                [sys.executable, str(EXAMPLE / "blog.py"), "--host", address], check=False
            )
        finally:
            server.terminate()
            stopped = server.wait(timeout=30)
    if stopped != 0:
        print(f"the server ended with status {stopped}", file=sys.stderr)
        return 1
    return example.returncode


def wait_for_address(server: subprocess.Popen[str]) -> str:
    """The address in the server's start-up line."""
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        found = re.search(r"https?://[^\s]+", line)
        if found:
            return found[0]
    raise SystemExit("the server ended before it said where it listens")


if __name__ == "__main__":
    sys.exit(main())
