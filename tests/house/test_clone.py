"""The project works in whatever folder it is cloned to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.checkout import ROOT, ROOTS, tracked


@pytest.mark.rest
def test_a_clone_in_an_odd_folder_passes_these_tests_and_runs_a_command(tmp_path: Path) -> None:
    clone = tmp_path / "a folder ก" / "samprasan"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    for path in clone.rglob("*"):  # as the folder is now, and not as it was committed
        if path.is_file() and ".git" not in path.relative_to(clone).parts:
            path.unlink()
    for path in tracked():
        copy = clone / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(clone / root) for root in ROOTS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": "",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/house", "--ignore"]
    command.append(str(clone / "tests/house/test_clone.py"))
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    asked = [sys.executable, "-c", "import samprasan.node.home as home; print(home.__file__)"]
    where = subprocess.run(asked, cwd=clone, env=environment, capture_output=True, text=True, check=True).stdout
    assert str(clone) in where
    (clone / "passphrase").write_text("a passphrase of the test")
    (clone / "passphrase").chmod(0o600)
    init = ["-m", "samprasan.node", "init", "--agency", "mpc", "--home", "home", "--passphrase-file", "passphrase"]
    made = subprocess.run(
        [sys.executable, *init], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert (clone / "home" / "node.toml").exists()
