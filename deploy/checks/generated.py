"""Whether the committed protobuf code is what the messages generate today; with ``--write``, make it so."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
PYTHON = ROOT / ".venv-proto" / "bin" / "python"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
WITH_SERVICES = {"changes.proto", "counter.proto", "hub.proto"}


def generate(folder: Path) -> None:
    """Write the code of every message file below ``folder``."""
    for source in sorted((PROTO / "samprasan" / "v1").glob("*.proto")):
        outputs = [f"--python_out={folder}", f"--mypy_out=quiet:{folder}"]
        if source.name in WITH_SERVICES:
            outputs += [f"--grpc_python_out={folder}", f"--mypy_grpc_out=quiet:{folder}"]
        command = [str(PYTHON), "-m", "grpc_tools.protoc", f"-I{PROTO}", *outputs, str(source.relative_to(PROTO))]
        path = {"PATH": f"{PYTHON.parent}:/usr/bin:/bin"}
        subprocess.run(command, check=True, cwd=PROTO, env=path)


def found(folder: Path) -> dict[str, bytes]:
    """Name → content of the generated files below ``folder``."""
    files = (folder / "samprasan" / "v1").iterdir()
    return {file.name: file.read_bytes() for file in files if file.name.endswith(GENERATED)}


def main() -> int:
    """The command line."""
    if "--write" in sys.argv:
        generate(PROTO)
        return 0
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        generate(fresh)
        if found(fresh) == found(PROTO):
            return 0
    print("The committed protobuf code is not what the messages generate: run `make proto`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
