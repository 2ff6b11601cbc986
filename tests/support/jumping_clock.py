"""A server whose wall clock can be set: ``python -m tests.support.jumping_clock FILE serve …``.

The file holds seconds to be added to the machine's time; it is read anew at each SIGUSR2.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from baas.cli import main


def install(offsets: Path) -> None:
    """Let ``time.time`` and ``time.time_ns`` tell the machine's time and what is in the file."""
    seconds, nanoseconds = time.time, time.time_ns
    offset = [0]

    def read(*_: object) -> None:
        offset[0] = int(offsets.read_text())

    read()
    signal.signal(signal.SIGUSR2, read)
    time.time = lambda: seconds() + offset[0]
    time.time_ns = lambda: nanoseconds() + offset[0] * 1_000_000_000


if __name__ == "__main__":
    install(Path(sys.argv.pop(1)))
    main()
