"""A whole federation on one machine: a hub and three nodes, each its own process, over mutual TLS on loopback.

    python deploy/local/federation.py --home DIR [--database-url URL] [--json]

makes ``DIR/hub``, ``DIR/mpc``, ``DIR/nhco`` and ``DIR/codi`` with the sample policy in force, prints ``ready {…}`` and
serves until SIGTERM.  A DIR that was made before is served again.
"""

import argparse
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from samprasan.edge import logs
from samprasan.hub import home as hub_homes
from samprasan.hub.members import joining
from samprasan.keys.invitation import Invitation
from samprasan.keys.keyring import write_private
from samprasan.node import certificate
from samprasan.node import home as node_homes
from samprasan.node.commands import hub_calls, joint_documents

AGENCIES = {
    "mpc": "ศูนย์คุณธรรม (องค์การมหาชน)",
    "nhco": "สำนักงานคณะกรรมการสุขภาพแห่งชาติ",
    "codi": "สถาบันพัฒนาองค์กรชุมชน (องค์การมหาชน)",
}
SAMPLES = Path(__file__).parent / "samples"
STOP_SECONDS = 15.0
CEREMONY_SECONDS = 60.0
PORT_ATTEMPTS = 5


class Process(Protocol):
    """The part of ``subprocess.Popen`` that is used here."""

    pid: int

    @property
    def stdout(self) -> IO[str] | None:
        """Its standard output."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and say how it came; subprocess.TimeoutExpired after ``timeout`` seconds."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


class Federation:
    """The homes below ``folder`` and the processes that serve them."""

    def __init__(self, folder: Path, database_url: str = "", debug: bool = False) -> None:
        self.folder = folder
        self.database_url = database_url
        self.debug = debug
        self.processes: dict[str, Process] = {}

    def home(self, party: str) -> Path:
        """The home of ``hub`` or of an agency."""
        return self.folder / party

    def set_up(self) -> None:
        """Make every home, join, approve roster 1 and the sample policy, and hold the key ceremony; all is served."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_hub()
        for agency in AGENCIES:
            self._make_node(agency)
        self.start("hub")
        opened = hub_homes.open_home(self.home("hub"))
        hub = opened.hub
        for agency, name in AGENCIES.items():
            invite = self.folder / f"{agency}.invite"
            secret, expires_at = joining.invite(hub, agency, name)
            reached = hub_homes.reached_at(self.home("hub"))
            made_invite = Invitation(
                agency, name, reached.join, reached.hub, opened.authority.certificate, secret, expires_at
            )
            write_private(invite, made_invite.encode())
            certificate.join(node_homes.open_home(self.home(agency)), invite)
        homes = {agency: node_homes.open_home(self.home(agency)) for agency in AGENCIES}
        # What people do by telephone: everybody reads the same digest.
        (waiting,) = joint_documents.inbox(homes["mpc"])["waiting"]
        for home in homes.values():
            joint_documents.approve(home, joint_documents.find(home, waiting["id"]), waiting["digest"])
        for home in homes.values():
            hub_calls.refresh(home)
        self.start(*AGENCIES)  # the nodes begin the key ceremony by themselves
        proposed = joint_documents.propose_policy(homes["mpc"], (SAMPLES / "policy.toml").read_text("utf-8"))
        joint_documents.approve(homes["nhco"], joint_documents.find(homes["nhco"], proposed["id"]), "")
        for home in homes.values():
            hub_calls.refresh(home)
        for home in homes.values():
            self._wait_for_key(home)
            home.node.db.close()
        hub.db.close()

    def _wait_for_key(self, home: node_homes.Home) -> None:
        ends = time.monotonic() + CEREMONY_SECONDS
        while not hub_calls.has_linking_key(home):
            if time.monotonic() > ends:
                raise RuntimeError("the key ceremony did not end: see the logs of the nodes")
            time.sleep(0.1)

    def start(self, *parties: str) -> None:
        """Serve these parties (all, if none is named) and wait until each says ``ready``."""
        for party in parties or ("hub", *AGENCIES):
            if party == "hub":
                self._start_hub()
            else:
                self.processes[party] = self.serve(party)
        for party in parties or AGENCIES:
            if party != "hub":
                self.wait_ready(party)

    def _start_hub(self) -> None:
        """At ports that nobody has; with others, if somebody takes one of them before the hub does."""
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            self._take_free_ports()
            self.processes["hub"] = self.serve("hub")
            try:
                self.wait_ready("hub")
            except RuntimeError as problem:
                self.kill("hub")
                if self._ports_kept or not attempts_left or "Cannot listen at" not in str(problem):
                    raise
            else:
                return

    def serve(self, party: str) -> Process:
        """Start a process that serves ``party``."""
        command = [sys.executable, "-m", program_of(party), "serve", "--home", str(self.home(party))]
        with self._log(party).open("a", encoding="utf-8") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment())

    def restart(self, party: str) -> None:
        """Serve ``party`` again, at the address it had."""
        self.kill(party)
        self._ports_kept = party == "hub"
        self.start(party)

    def kill(self, party: str) -> None:
        """End a party's process without warning (SIGKILL)."""
        process = self.processes.pop(party, None)
        if process is not None:
            process.kill()
            _finish(process)

    def stop(self) -> None:
        """End every process as an operator would (SIGTERM), nodes first."""
        for party in sorted(self.processes, key=lambda name: name == "hub"):
            self.processes[party].terminate()
        for party, process in list(self.processes.items()):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            _finish(process)
            del self.processes[party]

    def run(self, party: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command line of ``samprasan-hub`` or ``samprasan-node`` at a party's home."""
        command = [sys.executable, "-m", program_of(party), *arguments, "--home", str(self.home(party))]
        return subprocess.run(command, capture_output=True, text=True, check=check, env=self.environment())

    def environment(self) -> dict[str, str]:
        """The variables its processes are given."""
        return {**os.environ, **({logs.DEBUG_VARIABLE: "debug", "GRPC_VERBOSITY": "debug"} if self.debug else {})}

    def answer(self, party: str, *arguments: str) -> Any:
        """The JSON that a command prints, whatever its exit code."""
        done = self.run(party, *arguments, "--json", check=False)
        if not done.stdout:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def import_samples(self, agency: str, stage: str = "deeds", profile: str = "") -> Any:
        """Import an agency's sample export and give the report."""
        file = next((SAMPLES / agency).glob(f"{stage}.*"))
        path = SAMPLES / "profiles" / f"{profile or agency}.toml"
        return self.answer(agency, "import", str(file), "--profile", str(path))

    _ports_kept = False

    def _take_free_ports(self) -> None:
        if self._ports_kept:
            return
        hub, join = free_ports(2)
        path = self.home("hub") / "hub.toml"
        text = re.sub(r'^(listen) = ".*"$', rf'\1 = "127.0.0.1:{hub}"', path.read_text("utf-8"), flags=re.MULTILINE)
        text = re.sub(r'^(join_listen) = ".*"$', rf'\1 = "127.0.0.1:{join}"', text, flags=re.MULTILINE)
        write_private(path, text.encode())
        for agency in AGENCIES:
            if (self.home(agency) / "hub").exists():
                write_private(self.home(agency) / "hub", f"127.0.0.1:{hub}".encode())

    def wait_ready(self, party: str) -> None:
        """Return when it has said that it serves."""
        process = self.processes[party]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            log = self._log(party).read_text("utf-8")
            raise RuntimeError(f"{party} did not start: {log[-2000:]}")

    def _log(self, party: str) -> Path:
        return self.folder / f"{party}.log"

    def _make_hub(self) -> None:
        _, file, secret = self._passphrase("hub")
        url = self._database("hub")
        settings = {"listen": "127.0.0.1:0", "join_listen": "127.0.0.1:0", "console": "", "database": url}
        hub_homes.create(self.home("hub"), settings | {"passphrase_file": file}, secret)

    def _make_node(self, agency: str) -> None:
        _, file, secret = self._passphrase(agency)
        node_homes.create(self.home(agency), agency, self._database(agency), file, secret)

    def _passphrase(self, party: str) -> tuple[Path, str, bytes]:
        self.home(party).mkdir(mode=0o700, parents=True)
        path = self.home(party) / "passphrase"
        secret = secrets.token_urlsafe(24).encode()
        write_private(path, secret)
        return path, "passphrase", secret

    def _database(self, party: str) -> str:
        """A database of its own for each party, made on the given server; SQLite in the home if none is given."""
        if not self.database_url:
            return ""
        import psycopg
        import sqlalchemy as sa

        url = sa.make_url(self.database_url)
        name = f"samprasan_{party}_{secrets.token_hex(4)}"
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return url.set(database=name).render_as_string(hide_password=False)


def program_of(party: str) -> str:
    """The package whose command line is the party's."""
    return "samprasan.hub" if party == "hub" else "samprasan.node"


def _finish(process: Process) -> None:
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="folder for the four homes")
    parser.add_argument("--database-url", default="", help="PostgreSQL server; each party gets a database on it")
    parser.add_argument("--json", action="store_true", help="say nothing but the ready line")
    given = parser.parse_args(arguments)
    federation = Federation(given.home, given.database_url)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    try:
        if not (given.home / "hub" / "hub.toml").exists():
            if not given.json:
                say(f"making a hub and three nodes in {given.home} …")
            federation.set_up()
        else:
            federation.start()
        address = hub_homes.reached_at(federation.home("hub")).hub
        homes = {party: str(federation.home(party)) for party in ("hub", *AGENCIES)}
        pids = {party: process.pid for party, process in federation.processes.items()}
        print(f"ready {json.dumps({'homes': homes, 'hub': address, 'pids': pids})}", flush=True)
        while not stopped:
            signal.pause()
    finally:
        federation.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
