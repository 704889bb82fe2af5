"""Bytes corrupted by chance or on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable

Spoil = Callable[[random.Random, bytes], bytes]


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One to 64 bits."""
    corrupted = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
        if corrupted:
            corrupted[rng.randrange(len(corrupted))] ^= 1 << rng.randrange(8)
    return bytes(corrupted)


def cut(rng: random.Random, data: bytes) -> bytes:
    """Its end is missing."""
    return data[: rng.randrange(len(data))] if data else data


def left_out(rng: random.Random, data: bytes) -> bytes:
    """Some bytes in its midst are missing."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 8, 64, 512)) :]


def put_in(rng: random.Random, data: bytes) -> bytes:
    """Some random bytes too many."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 8, 64, 512))) + data[at:]


def repeated(rng: random.Random, data: bytes) -> bytes:
    """A part of it stands in another place too."""
    a, at = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    return data[:at] + data[a : a + rng.choice((1, 2, 8, 64, 512))] + data[at:]


def overwritten(rng: random.Random, data: bytes) -> bytes:
    """A part of it is zeros, ones or random, its length as it was."""
    at, count = rng.randrange(len(data) + 1), rng.choice((1, 4, 16, 128, 1024))
    count = min(count, len(data) - at)
    new = rng.choice((bytes(count), b"\xff" * count, rng.randbytes(count)))
    return data[:at] + new + data[at + count :]


ALL: tuple[Spoil, ...] = (flipped, flipped, flipped, cut, left_out, put_in, repeated, overwritten)
