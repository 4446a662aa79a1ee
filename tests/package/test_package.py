"""The wheel and the sdist build, and a lean install brings client and keys without a database library."""

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv" / "bin" / "uv"
LEAN = """
import sys
import samprasan.client.connection, samprasan.client.verifying, samprasan.client.aio, samprasan.client.blocking
import samprasan.keys.documents, samprasan.keys.sharing, samprasan.ledger.ledger
heavy = {"sqlalchemy", "alembic", "psycopg", "geothai", "numpy", "python_calamine", "starlette"} & set(sys.modules)
assert not heavy, heavy
import importlib.util
assert importlib.util.find_spec("sqlalchemy") is None
print("lean")
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make package`` leaves: it fails if two builds of one commit differ."""
    out = tmp_path_factory.mktemp("dist")
    command: list[str | Path] = [sys.executable, ROOT / "deploy" / "checks" / "package.py", "--out", out]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_wheel_and_sdist_build_with_everything_in_them(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        roots = {name.split("/")[1] for name in archive.getnames() if name.count("/") > 1}
    assert {"proto", "keys", "ledger", "edge", "client", "node", "hub"} <= roots
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "samprasan/__init__.py" not in names
    for name in (
        "samprasan/v1/hub.proto",
        "samprasan/v1/hub_pb2.py",
        "samprasan/keys/errors.toml",
        "samprasan/node/words.toml",
        "samprasan/hub/migrations/versions/0001_first_tables.py",
        "samprasan/client/connection.py",
        "samprasan/client/py.typed",
        "samprasan/v1/changes.proto",
    ):
        assert name in names


def test_a_lean_install_has_client_and_keys_and_no_database(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    environment = tmp_path / "lean"
    quiet = {"check": True, "capture_output": True, "text": True}
    subprocess.run([UV, "venv", "--python", sys.executable, environment], **quiet)  # type: ignore[call-overload]
    python = environment / "bin" / "python"
    pins = tmp_path / "pins.txt"  # the same versions; hashes are for the project's own environment
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    pins.write_text("\n".join(line.split(" ")[0] for line in lines if "==" in line))
    install = [UV, "pip", "install", "--python", python, "--constraint", pins, wheel]
    subprocess.run(install, **quiet)  # type: ignore[call-overload]
    done = subprocess.run([python, "-c", LEAN], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "lean", done.stderr


def test_files_in_the_wheel_have_the_time_of_the_commit(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    dates = {entry.date_time for entry in zipfile.ZipFile(wheel).infolist()}
    assert len(dates) == 1, "the time of a file would be that of whoever builds"


def test_the_bill_of_materials_lists_what_an_install_brings_at_the_pinned_versions(built: Path) -> None:
    (bill,) = built.glob("*.cdx.json")
    document = json.loads(bill.read_text("utf-8"))
    listed = {each["name"].lower().replace("_", "-"): each["version"] for each in document["components"]}
    assert document["metadata"]["component"]["name"] == "samprasan"
    assert {"cryptography", "grpcio", "sqlalchemy", "nats-py", "starlette"} <= listed.keys()
    assert not {"pytest", "ruff", "mypy"} & listed.keys()
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split(" ")[0].lower().split("==") for line in lines if "==" in line)
    for name, version in listed.items():
        assert pinned[name] == version, name
