"""Build the wheel and the source distribution twice, compare them byte for byte, and list what an install brings.

    make package

leaves both in ``dist/``, with a software bill of materials (CycloneDX) of an install with every extra but ``dev``.  The
time in the archives is that of the newest commit, so whoever builds the same commit gets the same bytes.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
EXTRAS = "node,hub,nats"
Command = list[str | Path]


def main() -> int:
    """Build, compare, list; exit 1 if two builds differ."""
    parser = argparse.ArgumentParser(description="Build wheel, source distribution and bill of materials.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as again:
        first, second = built(out), built(Path(again))
    for name, digest in first.items():
        print(f"{digest}  {name}")
    if first != second:
        print("error: two builds of one commit differ", file=sys.stderr)
        return 1
    (wheel,) = out.glob("*.whl")
    bill = out / f"{'-'.join(wheel.stem.split('-')[:2])}.cdx.json"
    list_dependencies(wheel, bill)
    print(f"{digest_of(bill)}  {bill.name}")
    return 0


def built(out: Path) -> dict[str, str]:
    """File name → SHA-256 of what a build of this commit makes."""
    for old in [*out.glob("samprasan-*.whl"), *out.glob("samprasan-*.tar.gz")]:
        old.unlink()
    environment = os.environ | {"SOURCE_DATE_EPOCH": commit_time()}
    command: Command = [BIN / "python", "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return {path.name: digest_of(path) for path in sorted([*out.glob("*.whl"), *out.glob("*.tar.gz")])}


def commit_time() -> str:
    """When the newest commit was made, in seconds."""
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def list_dependencies(wheel: Path, bill: Path) -> None:
    """Install the wheel with its extras, at the pinned versions, and list what is there."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "environment" / "bin" / "python"
        run: Command = [BIN / "uv", "venv", "--quiet", "--python", BIN / "python", python.parents[1]]
        subprocess.run(run, check=True)
        pins = Path(folder) / "pins.txt"  # hashes are for the project's own environment
        lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
        pins.write_text("\n".join(line.split(" ")[0] for line in lines if "==" in line))
        install: Command = [BIN / "uv", "pip", "install", "--quiet", "--python", python, "--constraint", pins]
        subprocess.run([*install, f"{wheel}[{EXTRAS}]"], check=True)
        describe: Command = [
            BIN / "cyclonedx-py",
            "environment",
            "--output-reproducible",
            "--pyproject",
            ROOT / "pyproject.toml",
        ]
        subprocess.run([*describe, "--output-file", bill, python], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
