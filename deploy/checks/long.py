"""Run the suites at their full sizes, with fresh seeds, and write what came out into a page.

    make check-long
    make check-long SUITES="kills fuzzing"

takes three hours on two cores.  ``docs/figures.md`` then says of each suite for which commit it ran, when, and
what was seen; whoever ran it commits the page.  Every suite runs, also after one has failed; what is said of suites
that are not named stays.
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
FAILED, NOT_BEGUN = "failed", "did not begin"
OURS = ".venv/bin/python"
DEBIAN = ".venv-debian/bin/python"
NEWER = ("3.12", "3.13")


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
    begun: str
    commit: str


SUITES = [
    Suite("worlds", 1_500, OURS, "-n 2 --long tests/sim --ignore tests/sim/test_adversary.py"),
    Suite("hostile-worlds", 4_500, OURS, "-n 2 --dist worksteal --long tests/sim/test_adversary.py"),
    Suite("second-share", 1_500, OURS, "-n 2 --long tests/node/linking/test_second_share.py"),
    Suite("kills", 600, OURS, "-n 2 --long tests/kills"),
    Suite("two-counters", 600, OURS, "--long tests/wire/test_counters.py -k two_agencies"),
    Suite("fuzzing", 120, OURS, "-n 2 --long tests/fuzz"),
    Suite("debian", 700, DEBIAN, "-n 2 --dist loadfile tests"),
    *(Suite(f"python-{each}", 700, f".venv-{each}/bin/python", "-n 2 --dist loadfile tests") for each in NEWER),
]
_NAMED = {each.name: each for each in SUITES}


def main() -> int:
    """Run the suites and write the page; exit 1 if a suite failed, not if its Python is not there."""
    parser = argparse.ArgumentParser(description="Run the suites at their full sizes and write what came out.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", type=suite_named, help=", ".join(_NAMED))
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "figures.md")
    arguments = parser.parse_args()
    wanted = arguments.suites or SUITES
    page: Path = arguments.page
    results = [result_of(suite) for suite in wanted]
    page.write_text(page_of(results, page.read_text("utf-8") if page.exists() else ""), "utf-8")
    print(f"== long: {sum(each.seconds for each in results)} s (budget {sum(each.budget for each in wanted)} s)")
    return 1 if any(each.outcome in {FAILED, NOT_BEGUN} for each in results) else 0


def suite_named(name: str) -> Suite:
    """The suite with that name."""
    if name not in _NAMED:
        raise argparse.ArgumentTypeError(f"no suite is called {name}: there are {', '.join(_NAMED)}")
    return _NAMED[name]


def commit_here() -> str:
    """The commit that is checked out, and whether files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty= with changes"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def result_of(suite: Suite) -> Result:
    """Run one suite, if its Python is there; what it prints is shown."""
    when = (f"{datetime.now(UTC):%Y-%m-%d %H:%M}", f"`{commit_here()}`")
    if not (ROOT / suite.python).exists():
        return Result(suite, 0, 0, 0, 0, [], "not run: no such Python", *when)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [suite.python, "-m", "pytest", "-q", *suite.options.split(), f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if not report.exists():
            return Result(suite, 0, 0, 0, 0, [], NOT_BEGUN, *when)
        tree = ElementTree.parse(report).getroot()  # noqa: S314 pytest wrote it a moment ago
    seconds = round(time.monotonic() - begun)
    print(f"== {suite.name}: {seconds} s (budget {suite.budget} s)", flush=True)
    counts = [
        sum(int(each.get(name, 0)) for each in tree.iter("testsuite")) for name in ("tests", "errors", "failures")
    ]
    skipped = sum(int(each.get("skipped", 0)) for each in tree.iter("testsuite"))
    figures = sorted({f"{each.get('name')}: {each.get('value')}" for each in tree.iter("property")})
    outcome = FAILED if done.returncode else "passed"
    return Result(suite, counts[0], counts[1] + counts[2], skipped, seconds, figures, outcome, *when)


def page_of(results: Iterable[Result], before: str) -> str:
    """The page, in Markdown; what ``before`` says of other suites stays."""
    told = {each.suite.name: each for each in results}
    rows, figures = [], []
    for suite in SUITES:
        each = told.get(suite.name)
        if each is None:
            rows += [line for line in before.splitlines() if line.startswith(f"| {suite.name} |")]
            figures += [line for line in before.splitlines() if line.startswith(f"- {suite.name}: ")]
            continue
        counts = (each.tests, each.failures, each.skipped, each.seconds, suite.budget)
        cells = (suite.name, each.outcome, *counts, each.begun, each.commit)
        rows.append(f"| {' | '.join(str(cell) for cell in cells)} |")
        figures += [f"- {suite.name}: {figure}" for figure in each.figures]
    lines = [
        "# The last long run",
        "",
        "`make check-long` writes this page: every suite at its full size, with seeds drawn anew; with Debian's own",
        "Python, and with newer ones, every test at its usual size.",
        f"On {os.cpu_count()} cores, Python {platform.python_version()}; in UTC.",
        "",
        "| suite | outcome | tests | failed | skipped | seconds | budget | begun | commit |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "What the tests measured on the way:",
        "",
        *figures,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
