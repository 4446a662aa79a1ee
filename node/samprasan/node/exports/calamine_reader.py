"""Reads one spreadsheet with python-calamine, in a process of its own, given limits before it opens anything.

A hostile workbook can make its reader panic, or ask for more memory than there is; then this process ends and the one
that started it goes on.  It runs as a script, imports nothing of ours, and is told nothing but the sheet: the workbook
is its standard input.  On standard output it pickles the names of the sheets, then how many rows the chosen one has,
then its rows in lists of ``CHUNK_ROWS``.
"""

import pickle
import resource
import sys

MEMORY_BYTES_MAX = 1 << 30  # the largest workbook that is read whole needs a third of it
CPU_SECONDS_MAX = 120
CHUNK_ROWS = 1000


def main(sheet: str) -> None:
    """Read standard input, write standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_filelike(sys.stdin.buffer) as book:
        names = book.sheet_names
        pickle.dump(names, sys.stdout.buffer)
        if not names or (sheet and sheet not in names):
            return
        rows = book.get_sheet_by_name(sheet or names[0]).to_python(skip_empty_area=False)
    pickle.dump(len(rows), sys.stdout.buffer)
    for start in range(0, len(rows), CHUNK_ROWS):
        pickle.dump(rows[start : start + CHUNK_ROWS], sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1])
