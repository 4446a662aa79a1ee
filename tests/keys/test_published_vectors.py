"""The published vectors are what this code makes, and a checker that shares no code with it comes to the same."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vectors

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin" if (ROOT / ".venv" / "bin" / "node").exists() else Path(sys.executable).parent
CHANGES = 6  # of each file


def test_the_published_vectors_are_what_this_code_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vectors"])
    assert vectors.main() == 0
    monkeypatch.setitem(vectors.FILES, "chain", vectors.logs)
    assert vectors.main() == 1


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with its libraries installed, beside the messages."""
    proto = tmp_path_factory.mktemp("vectors") / "proto"
    ignored = shutil.ignore_patterns("node_modules", "*.py", "*.pyi", "__pycache__")
    folder = Path(shutil.copytree(ROOT / "proto", proto, ignore=ignored)) / "vectors"
    install: list[str | Path] = [BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
    subprocess.run(install, check=True, capture_output=True)
    return folder


def check(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "node"), str(folder / "check.mjs"), *names]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_another_program_comes_to_the_same(checker: Path) -> None:
    done = check(checker)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {f"{each}.json" for each in vectors.FILES}


def hexadecimal(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are bytes in it."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from hexadecimal(each, (*path, key))
    elif isinstance(value, str) and len(value) >= 16 and set(value) <= set("0123456789abcdef"):
        yield path


@pytest.mark.rest
@pytest.mark.parametrize("name", vectors.FILES)
def test_the_other_program_notices_a_changed_byte(checker: Path, name: str) -> None:
    file, text = checker / f"{name}.json", (checker / f"{name}.json").read_text("utf-8")
    chance = random.Random(name)
    places = list(hexadecimal(json.loads(text)))
    try:
        for place in chance.sample(places, min(CHANGES, len(places))):
            document: Any = json.loads(text)
            part = document
            for key in place[:-1]:
                part = part[key]
            at = chance.randrange(len(part[place[-1]]))
            old = part[place[-1]]
            part[place[-1]] = f"{old[:at]}{(int(old[at], 16) ^ 1):x}{old[at + 1 :]}"
            file.write_text(json.dumps(document), "utf-8")
            if "bad" not in place:  # that must not hold in any case
                assert check(checker, name).returncode == 1, place
    finally:
        file.write_text(text, "utf-8")
