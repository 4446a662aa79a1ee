"""An .xls as old programs wrote it, small enough to be made here: BIFF8 in a compound file.

The layouts are those of [MS-XLS] 2.4 (BOF, BOUNDSHEET8, LABEL, EOF) and [MS-CFB] 2.2, 2.3 and 2.6.
"""

import struct

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_STREAM_MIN = 4096  # smaller streams would live in the mini stream


def xls(table: list[list[str]]) -> bytes:
    """A workbook with one sheet of text cells."""
    sheet = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    for row, cells in enumerate(table):
        for column, text in enumerate(cells):
            data = text.encode("utf-16-le")
            sheet += _record(0x0204, struct.pack("<HHHHB", row, column, 0, len(text), 1) + data)
    sheet += _record(0x000A, b"")
    start = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
    name = b"a"
    bound_bytes = 4 + 4 + 2 + 2 + len(name)
    offset = len(start) + bound_bytes + 4
    start += _record(0x0085, struct.pack("<IHBB", offset, 0, len(name), 0) + name) + _record(0x000A, b"")
    return _compound_file((start + sheet).ljust(_STREAM_MIN, b"\0"))


def _record(number: int, data: bytes) -> bytes:
    return struct.pack("<HH", number, len(data)) + data


def _compound_file(workbook: bytes) -> bytes:
    """Sector 0: the allocation table; 1: the directory; from 2 on: the workbook."""
    padded = workbook + bytes(-len(workbook) % _SECTOR)
    count = len(padded) // _SECTOR
    chain = [*range(3, count + 2), _END]
    table = [_FAT, _END, *chain]
    table += [_FREE] * (_SECTOR // 4 - len(table))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, _STREAM_MIN, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    directory = _entry("Root Entry", 5, child=1, start=_END, size=0) + _entry(
        "Workbook", 2, start=2, size=len(workbook)
    )
    directory += _entry("", 0) * 2
    return header + struct.pack(f"<{_SECTOR // 4}I", *table) + directory + padded


def _entry(name: str, kind: int, child: int = _FREE, start: int = 0, size: int = 0) -> bytes:
    data = (name + "\0").encode("utf-16-le") if name else b""
    head = data.ljust(64, b"\0") + struct.pack("<HBBIII", len(data), kind, 1, _FREE, _FREE, child)
    return head + bytes(16) + struct.pack("<I", 0) + bytes(16) + struct.pack("<IQ", start, size)
