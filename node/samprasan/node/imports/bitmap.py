"""A set of small whole numbers, one bit each: ids that are given out one after the other, a million in 125 KiB."""


class Bitmap:
    """Holds numbers from 0 on."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Put ``number`` into the set."""
        missing = number // 8 + 1 - len(self._bits)
        if missing > 0:
            self._bits.extend(bytes(missing))
        self._bits[number // 8] |= 1 << number % 8

    def __contains__(self, number: int) -> bool:
        """Whether ``number`` is in the set."""
        return number // 8 < len(self._bits) and bool(self._bits[number // 8] >> number % 8 & 1)
