"""Slow clients: an upload must keep coming, or its connection is given to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from baas.storage.errors import TooSlow
from baas.storage.options import StorageOptions


async def paced(
    source: AsyncIterator[bytes], options: StorageOptions
) -> AsyncGenerator[bytes, None]:
    """The same chunks, as long as they come in time.

    Raises:
        TooSlow: nothing came for ``chunk_timeout``, or too little in a ``rate_window``.
    """
    clock = asyncio.get_running_loop().time
    window_ends, in_window = clock() + options.rate_window, 0
    iterator = aiter(source)
    while True:
        try:
            async with asyncio.timeout(options.chunk_timeout):
                chunk = await anext(iterator, None)
        except TimeoutError:
            raise TooSlow(f"Nothing came for {options.chunk_timeout:g} seconds.") from None
        if chunk is None:
            return
        yield chunk
        in_window += len(chunk)
        if clock() >= window_ends:
            if in_window < options.min_bytes_per_window:
                raise TooSlow(
                    f"Only {in_window} bytes came in {options.rate_window:g} seconds;"
                    f" {options.min_bytes_per_window} are expected."
                )
            window_ends, in_window = clock() + options.rate_window, 0
