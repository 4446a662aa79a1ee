"""Run the suites at their full sizes, with fresh seeds, and write what came out into a page.

    make check-long

takes an hour on two cores.  ``docs/figures.md`` then says for which commit it ran, when, and what was seen;
whoever ran it commits the page.  Every suite runs, also after one has failed.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
OURS = ".venv/bin/python"
DEBIAN = ".venv-debian/bin/python"


class Suite(NamedTuple):
    """What to run, and how many seconds it may take on two idle cores."""

    name: str
    budget: int
    python: str
    options: str


class Result(NamedTuple):
    """What a suite came to."""

    suite: Suite
    tests: int
    failures: int
    skipped: int
    seconds: int
    figures: list[str]
    outcome: str


SUITES = [
    Suite("simulation", 2_000, OURS, "-n 2 --long tests/sim"),
    Suite("kills", 600, OURS, "-n 2 --long tests/kills"),
    Suite("two counters", 600, OURS, "--long tests/wire/test_counters.py -k two_agencies"),
    Suite("fuzzing", 120, OURS, "-n 2 --long tests/fuzz"),
    Suite("every test with Debian's Python", 700, DEBIAN, "-n 2 --dist loadfile tests"),
]


def main() -> int:
    """Run the suites and write the page; exit 1 if a suite failed."""
    parser = argparse.ArgumentParser(description="Run the suites at their full sizes and write what came out.")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "figures.md")
    page: Path = parser.parse_args().page
    begun, commit = datetime.now(UTC), commit_here()
    results = [result_of(suite) for suite in SUITES]
    page.write_text(page_of(results, commit, begun), "utf-8")
    print(f"== long: {sum(each.seconds for each in results)} s (budget {sum(each.budget for each in SUITES)} s)")
    return 0 if all(each.outcome == "passed" or each.outcome.startswith("not run") for each in results) else 1


def commit_here() -> str:
    """The commit that is checked out, and whether files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty= with changes"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def result_of(suite: Suite) -> Result:
    """Run one suite, if its Python is there; what it prints is shown."""
    if not (ROOT / suite.python).exists():
        return Result(suite, 0, 0, 0, 0, [], "not run: no such Python")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [suite.python, "-m", "pytest", "-q", *suite.options.split(), f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if not report.exists():
            return Result(suite, 0, 0, 0, 0, [], "did not begin")
        tree = ElementTree.parse(report).getroot()  # noqa: S314 pytest wrote it a moment ago
    seconds = round(time.monotonic() - begun)
    print(f"== {suite.name}: {seconds} s (budget {suite.budget} s)", flush=True)
    counts = [
        sum(int(each.get(name, 0)) for each in tree.iter("testsuite")) for name in ("tests", "errors", "failures")
    ]
    skipped = sum(int(each.get("skipped", 0)) for each in tree.iter("testsuite"))
    figures = sorted({f"{each.get('name')}: {each.get('value')}" for each in tree.iter("property")})
    outcome = "failed" if done.returncode else "passed"
    return Result(suite, counts[0], counts[1] + counts[2], skipped, seconds, figures, outcome)


def page_of(results: Iterable[Result], commit: str, begun: datetime) -> str:
    """The page, in Markdown."""
    lines = [
        "# The last long run",
        "",
        "`make check-long` writes this page: every suite at its full size, with seeds drawn anew; with Debian's own",
        "Python every test at its usual size.",
        "",
        f"- commit: `{commit}`",
        f"- begun: {begun:%Y-%m-%d %H:%M} UTC",
        f"- on: Python {platform.python_version()}, {os.cpu_count()} cores",
        "",
        "| suite | outcome | tests | failed | skipped | seconds | budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in results:
        row = (each.suite.name, each.outcome, each.tests, each.failures, each.skipped, each.seconds, each.suite.budget)
        lines.append(f"| {' | '.join(str(cell) for cell in row)} |")
    lines += ["", "What the tests measured on the way:", ""]
    lines += [f"- {each.suite.name}: {figure}" for each in results for figure in each.figures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
