"""The checkout that these tests stand in, wherever it is and whatever its folder is called."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOTS = ("proto", "keys", "ledger", "edge", "client", "node", "hub")


def tracked() -> list[Path]:
    """Every file of the project."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def sources() -> list[Path]:
    """Every module of the source roots, but for generated ones."""
    found = [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ROOTS]
    return [path for path in found if "_pb2" not in path.name]
