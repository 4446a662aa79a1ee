"""Inputs that are almost right: valid ones with bits flipped, pieces cut, doubled, swapped and spliced."""

import random
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from samprasan.ledger import policy
from samprasan.v1 import documents_pb2

from tests.federation import SAMPLES

_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x7f",
    b'"',
    b"'",
    b"\n",
    b"\r",
    b",",
    b"\xef\xbb\xbf",
    b"\xff" * 9 + b"\x01",
)


Seeds = Callable[[int, int, int], Iterator[int]]  # the fixture that gives seeds to try


def mutated(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of ``corpus``, changed in one to four places."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(data) + 1)
        length = chance.randrange(1, 9)
        match chance.randrange(7):
            case 0 if data:
                data[place % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[place % len(data)] = chance.randrange(256)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = chance.choice(_INTERESTING)
            case 4:
                data[place:place] = data[place : place + length]
            case 5:
                other = chance.choice(corpus)
                start = chance.randrange(len(other) + 1)
                data[place : place + length] = other[start : start + length * 4]
            case _:
                data[place:place] = chance.randbytes(length)
    return bytes(data)


GROWTH_MEBIBYTES_MAX = 12  # of this process while one decoder reads; a leak of 1 KiB an input would be 44


ID = bytes(range(16))


def policy_document() -> documents_pb2.Policy:
    return policy.from_toml((SAMPLES / "policy.toml").read_text("utf-8"), ID, 1, 2)


def resident_mebibytes() -> int:
    """What this process holds now, not the most it ever held."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20
