"""The wheel and the sdist build, and a lean install brings client and keys without a database library."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv" / "bin" / "uv"
LEAN = """
import sys
import samprasan.client.connection, samprasan.client.verifying, samprasan.client.aio, samprasan.client.streaming
import samprasan.keys.documents, samprasan.keys.sharing, samprasan.ledger.ledger
heavy = {"sqlalchemy", "alembic", "psycopg", "geothai", "numpy", "python_calamine", "starlette"} & set(sys.modules)
assert not heavy, heavy
import importlib.util
assert importlib.util.find_spec("sqlalchemy") is None
print("lean")
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def test_wheel_and_sdist_build_with_everything_in_them(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (_sdist,) = built.glob("*.tar.gz")
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
