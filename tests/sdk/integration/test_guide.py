"""The programs in the SDK's guide and in the project's README run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import sys

import pytest

from tests.sdk.conftest import ROOT, Server

PROGRAMS = [
    block
    for page in (ROOT / "docs" / "sdk.md", ROOT / "README.md")
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if "initialize_app(" in block
]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
async def test_a_program_of_the_guide_runs(open_server: Server, program: str) -> None:
    program = program.replace("http://127.0.0.1:8080", open_server.host)
    environment = os.environ | {
        "HOMEFIRE_URL": open_server.host,
        "PYTHONPATH": str(ROOT / "sdk"),
        "PYTHONWARNINGS": "error",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=-1, stderr=-2
    )
    output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    assert process.returncode == 0, output
    assert output
