"""Generate ``homefire.sync``, the synchronous twin of the SDK, from its asynchronous source.

    python scripts/generate_sync.py            write sdk/homefire/sync
    python scripts/generate_sync.py --check    exit with 1 if what is there is not what would be written

Only modules that wait, or that know types that do, have a twin; pure modules are shared. The few places where
the two differ by more than ``await`` are in modules that have a hand-written counterpart (``SWAPPED``).
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "sdk" / "homefire"

TWINNED = (
    "_transport/base.py",
    "_transport/http.py",
    "app.py",
    "auth/__init__.py",
    "auth/_api.py",
    "auth/_auth.py",
    "auth/_multi_factor.py",
    "auth/_sign_in.py",
    "auth/_user.py",
    "firestore/__init__.py",
    "firestore/_aggregates.py",
    "firestore/_batch.py",
    "firestore/_database.py",
    "firestore/_listen.py",
    "firestore/_operations.py",
    "firestore/_rest.py",
    "firestore/_snapshot.py",
    "firestore/_transaction.py",
    "storage/__init__.py",
    "storage/_operations.py",
    "storage/_resumable.py",
    "storage/_storage.py",
    "storage/_upload_task.py",
    "testing/__init__.py",
    "testing/_environment.py",
)
SWAPPED = {
    "homefire._runtime": "homefire._runtime_sync",
    "homefire.firestore._listen_host": "homefire.firestore._listen_host_sync",
}
NAMES = {
    "AsyncClient": "Client",
    "AsyncFunction": "Function",
    "AsyncGenerator": "Generator",
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
}
TYPES = (
    ("Generator[DocumentSnapshot[T], None]", "Generator[DocumentSnapshot[T], None, None]"),
    ("Generator[QuerySnapshot[T], None]", "Generator[QuerySnapshot[T], None, None]"),
    ("Generator[Any, None]", "Generator[Any, None, None]"),
)
WAITING_WORDS = re.compile(r"\(await (\w+\([^()]*\))\)")
"""``(await f(x)).y`` in a docstring."""

ROOT = '''"""The SDK without ``await``: the modules of :mod:`homefire`, each with a synchronous twin here.

Listeners call back from threads of their own.
"""
'''


def module_name(path: str) -> str:
    """``auth/_api.py`` -> ``homefire.auth._api``."""
    dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f"homefire.{dotted}"


MODULES = {
    **{
        module_name(path): module_name(path).replace("homefire.", "homefire.sync.", 1)
        for path in TWINNED
    },
    **SWAPPED,
}


def without_async(source: str) -> str:
    """Drop ``async`` and ``await`` and rename what is named after them; positions elsewhere stay."""
    lines = source.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.NAME:
            continue
        (row, start), (_, end) = token.start, token.end
        if token.string in ("async", "await"):
            after = lines[row - 1][end:]
            edits.append((row, start, end + len(after) - len(after.lstrip(" ")), ""))
        elif token.string in NAMES:
            edits.append((row, start, end, NAMES[token.string]))
    for row, start, end, text in reversed(edits):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + text + line[end:]
    return "".join(lines)


def twin(source: str) -> str:
    """The synchronous form of a module."""
    text = without_async(source)
    for before, after in TYPES:
        text = text.replace(before, after)
    text = WAITING_WORDS.sub(r"\1", text).replace("``async with``", "``with``")
    pattern = re.compile(r"^(\s*from )(homefire[\w.]*)( import )", re.MULTILINE)
    return pattern.sub(lambda m: m[1] + MODULES.get(m[2], m[2]) + m[3], text)


def generate() -> dict[str, str]:
    """All files of the twin by their path below ``sync``, formatted."""
    files = {path: twin((PACKAGE / path).read_text("utf-8")) for path in TWINNED}
    files["__init__.py"] = ROOT
    files["_transport/__init__.py"] = '"""How requests leave this process."""\n'
    return {path: formatted(text) for path, text in files.items()}


def formatted(text: str) -> str:
    """Sorted and laid out as everything else here."""
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", "generated.py", "-"]
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        done = subprocess.run(
            [*ruff, *command, *name],
            input=text,
            text=True,
            capture_output=True,
            check=True,
            cwd=PACKAGE,
        )
        text = done.stdout
    return text


def main(arguments: list[str]) -> int:
    """Write or check the twin."""
    target = PACKAGE / "sync"
    files = generate()
    there = {
        str(path.relative_to(target)): path.read_text("utf-8") for path in target.rglob("*.py")
    }
    if "--check" in arguments:
        stale = sorted(path for path in {*files, *there} if files.get(path) != there.get(path))
        if stale:
            print("not fresh, run scripts/generate_sync.py:", *stale)
        return 1 if stale else 0
    for path in there.keys() - files.keys():
        (target / path).unlink()
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
