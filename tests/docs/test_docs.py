"""Every documented command and block runs, and the generated pages are what the code generates."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests import shell

ROOT = Path(__file__).parents[2]
PAGES = ["docs/start.md", "docs/operating/hub.md", "docs/operating/node.md", "docs/integrating/quickstart.md"]
MARKDOWN = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE_SECONDS = 180


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    script = "\n".join(blocks(ROOT / name, "sh"))
    assert script.count("samprasan-") > 5
    (tmp_path / "deploy").mkdir()
    shutil.copytree(ROOT / "deploy" / "local", tmp_path / "deploy" / "local")
    programs = tmp_path / "bin"
    programs.mkdir()
    with shell.commands(programs):
        path = f"{programs}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eum", "-c", script + "\nwait"],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "SAMPRASAN_LANG": "en"},
            capture_output=True,
            text=True,
            timeout=PAGE_SECONDS,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_readmes_two_commands_are_targets() -> None:
    (commands,) = blocks(ROOT / "README.md", "sh")
    assert commands.split("\n") == ["make demo", "make test", ""]
    for line in commands.split():
        assert line == "make" or f"\n{line}:" in (ROOT / "Makefile").read_text("utf-8")


def test_the_readmes_python_is_that_of_an_app() -> None:
    (following,) = blocks(ROOT / "README.md", "python")
    assert "follow(" in following  # tests/wire/test_integrators.py runs it


@pytest.mark.rest
def test_make_demo_ends_with_the_expected_totals() -> None:
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=PAGE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    printed, _ = blocks(ROOT / "README.md", "text")
    assert "68063 credits of 417 subjects: as expected; audit ok: True" in printed
    assert [line for line in printed.splitlines() if line not in done.stdout] == []


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "errors.md", "changes.md", "modules.md"])
def test_generated_pages_are_fresh(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text("utf-8") == generator().PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
