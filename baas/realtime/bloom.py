"""The bloom filter of existence filters (``listen-and-write`` §2.3)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from typing import Final

from baas.model.watch import BloomFilter

_FALSE_POSITIVES: Final = 0.01
_MASK: Final = 2**64 - 1


def bloom_filter(names: Collection[str]) -> BloomFilter:
    """A filter that holds the full resource names, with one false positive in a hundred."""
    count = len(names)
    if not count:
        return BloomFilter(b"", 0, 0)
    bit_count = math.ceil(-count * math.log(_FALSE_POSITIVES) / math.log(2) ** 2)
    hash_count = max(1, round(bit_count / count * math.log(2)))
    bitmap = bytearray((bit_count + 7) // 8)
    for name in names:
        for index in _indexes(name, hash_count, bit_count):
            bitmap[index >> 3] |= 1 << (index & 7)
    return BloomFilter(bytes(bitmap), len(bitmap) * 8 - bit_count, hash_count)


def might_contain(bloom: BloomFilter, name: str) -> bool:
    """Whether the name may have been put in; false only if it was not."""
    bit_count = len(bloom.bitmap) * 8 - bloom.padding
    return bit_count > 0 and all(
        bloom.bitmap[index >> 3] & (1 << (index & 7))
        for index in _indexes(name, bloom.hash_count, bit_count)
    )


def _indexes(name: str, hash_count: int, bit_count: int) -> list[int]:
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    first = int.from_bytes(digest[:8], "little")
    second = int.from_bytes(digest[8:], "little")
    return [((first + i * second) & _MASK) % bit_count for i in range(hash_count)]
