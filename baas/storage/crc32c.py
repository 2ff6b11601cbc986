"""The CRC-32C of bytes one after another, from those of each: no byte is read again.

A CRC is a remainder of polynomials over GF(2): appending n zero bytes multiplies it by x^(8n) modulo the
Castagnoli polynomial, and the CRC of what follows is added (xor). All numbers are bit-reflected.
"""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78
_ONE = 0x80000000
_X8 = 0x00800000


def combine(first: int, second: int, second_size: int) -> int:
    """The CRC of two runs of bytes together; ``second_size`` is the size of the second."""
    return _multiply(first, _power(_X8, second_size)) ^ second


def _power(base: int, exponent: int) -> int:
    result = _ONE
    while exponent:
        if exponent & 1:
            result = _multiply(result, base)
        base = _multiply(base, base)
        exponent >>= 1
    return result


def _multiply(a: int, b: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
