"""A thousand people with names nobody else has go through a whole run with faults; no byte outside tells of them.

What is looked at: everything the hub wrote (database, its write-ahead log, mailbox, logs at DEBUG), every message that
reaches it, and what the nodes logged.  The scanner itself is held by ``tests/house/test_privacy_scanner.py``.
"""

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from federation import AGENCIES
from federation import Federation as LocalFederation
from google.protobuf.message import Message as Protobuf
from samprasan.keys.identifiers import Scheme, parse
from samprasan.node.commands import subjects
from samprasan.node.sync import hello

from tests import commands, local
from tests.federation import SAMPLES, Federation, Message, citizen, deed
from tests.leaks import LEAKS, SCANNER
from tests.privacy import Scanner

CANARIES = 1_000
_SYLLABLES = ("ชวิน", "ทิพย์", "ปราณ", "มณี", "ศศิ", "อุษา", "นวล", "ธารา", "วิมล", "กานต์", "ภัทร", "เขม")


class Canary:
    """A made-up person whose id and name stand nowhere else."""

    def __init__(self, number: int) -> None:
        chance = random.Random(number)
        self.digits = citizen(7_000_000 + number * 7919)
        self.name = f"{''.join(chance.choices(_SYLLABLES, k=4))} {''.join(chance.choices(_SYLLABLES, k=4))}{number:04d}"


PEOPLE = [Canary(number) for number in range(CANARIES)]
HEADER = (SAMPLES / "mpc" / "deeds.csv").read_text("utf-8-sig").splitlines()[0].split(",")


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    assert len({each.digits for each in PEOPLE}) == len({each.name for each in PEOPLE}) == CANARIES
    return Scanner((each.digits for each in PEOPLE), (each.name for each in PEOPLE))


def row(number: int, person: Canary, changes: dict[str, str]) -> list[str]:
    values = ["บุคคล", person.digits, person.name, "ปลูกป่า", str(1 + number % 5), "13/11/2568", "720803"]
    cells = dict(zip(HEADER, [f"C{number:05d}", *values, "ตรวจสอบแล้ว", "ยินยอม"], strict=True))
    return list((cells | changes).values())


def export(path: Path, agency: str, stage: int) -> Path:
    """Some good rows, and ids and names wherever people mistakenly write them."""
    chance = random.Random(f"{agency} {stage}")
    rows = [row(number, chance.choice(PEOPLE), {"จำนวน": str(stage)}) for number in range(300)]
    for place in range(0, 300, 9):
        person = chance.choice(PEOPLE)
        wrong = HEADER[1 + place // 9 % 9]
        rows[place] = row(place, person, {wrong: chance.choice([person.digits, person.name])})
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    """A federation after the run: imports, corrections, undo, crashes of everybody, refused and failed commands."""
    folder = tmp_path_factory.mktemp("canaries") / "federation"
    federation = local.copied(template, folder, debug=True)
    try:
        federation.start()
        run(federation)
        yield federation
    finally:
        federation.stop()


def run(federation: LocalFederation) -> None:
    said = []
    profile = str(SAMPLES / "profiles" / "mpc.toml")

    def say(agency: str, *arguments: str) -> None:
        said.append(commands.node(federation.home(agency), *arguments).stderr)

    for stage in (1, 2):
        for agency in AGENCIES:
            file = export(federation.folder / f"{agency}-{stage}.csv", agency, stage)
            say(agency, "import", str(file), "--profile", profile)
        federation.restart(("hub", "nhco")[stage - 1])
    federation.kill("hub")
    with mock.patch.object(subjects, "WAIT_SECONDS", 1.0):
        say("mpc", "balance", "--id", PEOPLE[0].digits)
    assert "hub" in said[-1], "it was asked for, and the hub did not answer"
    federation.restart("hub")
    say("codi", "imports", "undo", "2")
    say("mpc", "balance", "--id", "123")
    bad = str(federation.folder / "mpc-1.csv")
    say("mpc", "import", bad, "--profile", bad)
    said.append(federation.run("mpc", "import", bad, "--profile", profile, "--dry-run").stderr)  # at DEBUG
    for agency in AGENCIES:
        done = json.loads(commands.node(federation.home(agency), "sync", "--wait", "60", "--json").stdout)
        assert done["pending"] == 0, done
        say(agency, "status")
        say(agency, "doctor")
    (federation.folder / "commands.err").write_text("\n".join(said), "utf-8")


def test_the_run_was_a_real_one(served: LocalFederation) -> None:
    status = served.answer("hub", "status")
    assert status["totals"]["earned"] > 5_000
    assert status["totals"]["accounts"] > 400
    assert served.answer("hub", "audit")["ok"] is True
    assert "DEBUG" in (served.folder / "hub.log").read_text("utf-8")


def test_nothing_the_hub_wrote_tells_of_anybody(served: LocalFederation, scanner: Scanner) -> None:
    written = [path for path in served.home("hub").rglob("*") if path.is_file()] + [served.folder / "hub.log"]
    assert sum(path.stat().st_size for path in written) > 1_000_000
    assert scanner.scan(written) == {}


def test_no_log_and_no_error_of_a_node_tells_of_anybody(served: LocalFederation, scanner: Scanner) -> None:
    logs = [served.folder / f"{agency}.log" for agency in AGENCIES] + [served.folder / "commands.err"]
    assert all(path.stat().st_size for path in logs)
    assert scanner.scan(logs) == {}


def test_no_nodes_database_tells_of_anybody_without_its_key(served: LocalFederation, scanner: Scanner) -> None:
    databases = [path for agency in AGENCIES for path in served.home(agency).glob("node.db*")]
    assert scanner.scan(databases) == {}


def test_no_message_to_the_hub_tells_of_anybody(fed: Federation, scanner: Scanner) -> None:
    sent = bytearray()
    receive = fed.hub.receive

    def listen(message: Message) -> list[Message]:
        for part in message.body if isinstance(message.body, tuple) else (message.body,):
            found = part.request if isinstance(part, hello.Hello) else part
            sent.extend(found.SerializeToString() if isinstance(found, Protobuf) else repr(found).encode())
        return receive(message)

    fed.hub.receive = listen  # type: ignore[method-assign]
    give(fed)
    assert len(sent) > 100_000
    assert scanner.hits(bytes(sent)) == set()


def give(fed: Federation) -> None:
    for number, person in enumerate(PEOPLE):
        subject = parse(Scheme.CITIZEN, person.digits)
        fed.give(tuple(AGENCIES)[number % 3], replace(deed(number, 0), subject=subject, subject_name=person.name))
    fed.run()


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_planted_in_what_the_hub_wrote_is_found(served: LocalFederation, tmp_path: Path, leak: str) -> None:
    planted = tmp_path / "hub.db"
    data = (served.home("hub") / "hub.db").read_bytes()
    middle = len(data) // 2
    planted.write_bytes(data[middle - 20_000 : middle] + LEAKS[leak] + data[middle : middle + 20_000])
    assert SCANNER.scan([planted])
