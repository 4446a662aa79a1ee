"""An exported log is verified by whoever has only the federation's id; nothing that was changed in it passes."""

import io
import os
import random
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from samprasan.client import verifying
from samprasan.hub import store
from samprasan.hub.log import audit
from samprasan.hub.log import checkpoints as hub_checkpoints
from samprasan.hub.tables import checkpoints, log
from samprasan.keys import checkpoint
from samprasan.keys.errors import Malformed, SamprasanError, Unproven
from samprasan.ledger.audit import Report
from samprasan.node.counter import redemption
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Receipt

from tests import commands, federation, terminal
from tests.federation import AGENCIES, Federation, deed, publish
from tests.redemptions import wish


@pytest.fixture
def settled() -> Iterator[Federation]:
    """Awards, a correction, a redemption, and a checkpoint that all have cosigned."""
    with federation.copied(settled_template()) as copy:
        yield copy


@cache
def settled_template() -> Federation:
    fed = federation.make()
    publish(fed)
    for number, agency in enumerate(AGENCIES):
        fed.give(agency, *(deed(10 * number + each, each) for each in range(4)))
    fed.run()
    fed.give("mpc", deed(2, 2, status="revoked"))
    node = fed.nodes["mpc"]
    redemption.request_redemption(node, wish(subject=deed(3, 3).subject))
    fed.run()
    fed.run()
    return fed


def exported(fed: Federation) -> bytes:
    file = io.BytesIO()
    audit.export(fed.hub.db, file)
    return file.getvalue()


def federation_id(fed: Federation) -> str:
    with fed.hub.db.read() as tx:
        found: str = store.documents.agreed_on(tx).federation_id.hex()
    return found


def verified(fed: Federation, data: bytes) -> Report:
    return verifying.verify(io.BytesIO(data), federation_id(fed))


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def packed(found: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        for name, data in found.items():
            bundle.writestr(name, data)
    return file.getvalue()


def test_a_whole_log_is_verified_offline(settled: Federation) -> None:
    report = verified(settled, exported(settled))
    hub = settled.hub
    own = audit.audit(hub, hub.world.signer.public_key)
    assert report.as_document() == own.as_document()
    assert report.problems == []
    assert report.cosigned == sorted(AGENCIES)
    assert report.witnessed == report.batches > 5


def test_the_same_log_makes_the_same_bytes(settled: Federation) -> None:
    assert exported(settled) == exported(settled)


def test_another_federations_bundle_is_refused(settled: Federation) -> None:
    with pytest.raises(Unproven):
        verifying.verify(io.BytesIO(exported(settled)), "00" * 16)


def test_no_changed_bit_of_any_part_passes(settled: Federation) -> None:
    whole = parts(exported(settled))
    chance = random.Random(7)
    for name, data in whole.items():
        for bit in chance.sample(range(8 * len(data)), 60):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                report = verified(settled, packed(whole | {name: bytes(changed)}))
            except SamprasanError:
                continue
            lost = sorted(AGENCIES) != report.cosigned  # a cosigner's name: the signature is nobody's now
            assert report.problems or lost, (name, bit)


@pytest.mark.parametrize("name", ["log", "documents"])
def test_what_is_cut_off_does_not_pass(settled: Federation, name: str) -> None:
    whole = parts(exported(settled))
    for keep in (0, 3, len(whole[name]) // 2, len(whole[name]) - 1):
        try:
            report = verified(settled, packed(whole | {name: whole[name][:keep]}))
        except SamprasanError:
            continue
        assert report.problems


def test_a_log_without_its_last_entries_is_not_what_was_witnessed(settled: Federation) -> None:
    with settled.hub.db.begin() as tx:
        last = tx.execute(sa.select(sa.func.max(log.c.log_index))).scalar_one()
        tx.execute(log.delete().where(log.c.log_index == last))
    assert f"the checkpoint names {last + 1} entries" in verified(settled, exported(settled)).problems


def test_a_log_with_an_entry_replaced_has_another_root(settled: Federation) -> None:
    """The hub signs another receipt: the signature holds, the tree does not."""
    hub = settled.hub
    with hub.db.begin() as tx:
        row = tx.execute(sa.select(log).where(log.c.agency == "mpc").limit(1)).one()
        told = Receipt.FromString(Envelope.FromString(row.receipt).payload)
        told.appended_at += 1
        again = hub.world.sign(told).SerializeToString()
        tx.execute(log.update().where(log.c.log_index == row.log_index).values(receipt=again))
    assert any("another root" in each for each in verified(settled, exported(settled)).problems)


def test_a_checkpoint_of_another_root_is_told(settled: Federation) -> None:
    with settled.hub.db.begin() as tx:
        size, note = tx.execute(sa.select(checkpoints.c.size, checkpoints.c.note)).one()
        head = checkpoint.read(note).checkpoint
        lie = checkpoint.sign_note(checkpoint.Checkpoint(head.origin, size, bytes(32)), settled.hub.world.signer)
        tx.execute(checkpoints.update().values(note=lie))
    assert verified(settled, exported(settled)).problems


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + bytes(40), packed({"log": b""})])
def test_what_is_no_bundle_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        verifying.verify(io.BytesIO(data), "00" * 16)


def test_lengths_that_lie_are_malformed(settled: Federation) -> None:
    whole = parts(exported(settled))
    for length in (2**32 - 1, 5 << 20):
        lie = length.to_bytes(4, "big") + whole["log"][4:]
        with pytest.raises(Malformed):
            verified(settled, packed(whole | {"log": lie}))


@pytest.mark.parametrize("given", [[], ["mpc"]])
def test_a_log_that_too_few_have_seen_is_refused(settled: Federation, tmp_path: Path, given: list[str]) -> None:
    """The hub signs any checkpoint; who is shown another log than everybody has nobody's word for it."""
    whole = parts(exported(settled))
    lines = whole["checkpoint"].decode().splitlines(keepends=True)
    hidden = "".join(each for each in lines if not each.startswith("\N{EM DASH} ") or is_of(each, given))
    data = packed(whole | {"checkpoint": hidden.encode()})
    assert verified(settled, data).problems == [f"{len(given)} agencies cosigned the checkpoint, 2 are needed"]
    assert verifying.verify(io.BytesIO(data), federation_id(settled), len(given)).problems == []
    file = tmp_path / "hidden.bundle"
    file.write_bytes(data)
    asked = ("verify", str(file), "--federation", federation_id(settled), "--lang", "en")
    refused = commands.client(*asked)
    assert refused.returncode == 1
    assert "2 are needed" in refused.stdout
    assert commands.client(*asked, "--witnesses", str(len(given))).returncode == 0
    whole_one = ("verify", "--federation", federation_id(settled), "--witnesses", "4")
    full = tmp_path / "full.bundle"
    full.write_bytes(exported(settled))
    assert commands.client(*whole_one, str(full)).returncode == 1


def is_of(line: str, agencies: list[str]) -> bool:
    """Whether a signature's line is the hub's, or of one of them."""
    agency = line.split()[1].split("/")[2:]
    return not agency or agency[0] in agencies


def test_what_is_exported_is_what_a_quorum_has_seen(settled: Federation) -> None:
    with federation.copied(settled) as fed:
        publish(fed, "nhco")
        fed.clock.now_ms += 60_000
        fed.hub.tick()
        with fed.hub.db.read() as tx:
            offered = checkpoint.read(hub_checkpoints.offered_note(tx)).checkpoint.size
        report = verified(fed, exported(fed))
        assert report.problems == []
        assert len(report.cosigned) >= 2
        assert report.witnessed == report.batches < offered
        whole = parts(exported(fed))
        with fed.hub.db.read() as tx:
            later = list(store.log.entries(tx, report.batches))
            documents = b"".join(len(each).to_bytes(4, "big") + each for each in store.documents.active(tx))
        tail = b"".join(len(each).to_bytes(4, "big") + each for row in later for each in (row.batch, row.receipt))
        unseen = packed(whole | {"log": whole["log"] + tail, "documents": documents})
        assert "are behind the checkpoint" in verified(fed, unseen).problems[0]
        assert verifying.verify(io.BytesIO(unseen), federation_id(fed), 0).problems == []


def test_every_document_is_there_that_the_log_puts_into_force_and_no_other(settled: Federation) -> None:
    whole = parts(exported(settled))
    listed: list[bytes] = []
    data = whole["documents"]
    while data:
        size = 4 + int.from_bytes(data[:4], "big")
        listed, data = [*listed, data[:size]], data[size:]
    for left_out in range(1, len(listed)):
        fewer = b"".join(listed[:left_out] + listed[left_out + 1 :])
        assert verified(settled, packed(whole | {"documents": fewer})).problems
    with federation.copied(settled) as fed:
        publish(fed, "nhco")
        with fed.hub.db.read() as tx:
            more = b"".join(len(each).to_bytes(4, "big") + each for each in store.documents.active(tx))
    assert (
        "1 documents are here that the log does not put into force"
        in verified(settled, packed(whole | {"documents": more})).problems
    )


def test_the_command_line_says_what_it_found(settled: Federation, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.bundle", tmp_path / "bad.bundle"
    good.write_bytes(exported(settled))
    whole = parts(good.read_bytes())
    bad.write_bytes(packed(whole | {"log": whole["log"][: len(whole["log"]) // 2]}))
    done = commands.client("verify", str(good), "--federation", federation_id(settled), "--lang", "en")
    assert done.returncode == 0
    assert "The log is whole" in done.stdout
    assert "cosigned by: codi, mpc, nhco" in done.stdout
    assert commands.client("verify", str(bad), "--federation", federation_id(settled)).returncode == 1
    missing = commands.client("verify", str(tmp_path / "none"), "--federation", "00", "--lang", "en")
    assert (missing.returncode, "hint:" in missing.stderr) == (1, True)


def test_a_person_sees_how_far_it_has_come_and_a_script_does_not(settled: Federation, tmp_path: Path) -> None:
    file = tmp_path / "good.bundle"
    file.write_bytes(exported(settled))
    asked = ["verify", str(file), "--federation", federation_id(settled), "--lang", "en"]
    ended, screen = terminal.run("samprasan.client", asked, "", {**os.environ, "TERM": "xterm", "COLUMNS": "80"})
    assert ended == 0
    bar, _, answer = screen.partition("The log is whole")
    assert re.search(r"verifying.*100%", bar, re.DOTALL)
    assert answer
    assert "%" not in terminal.run("samprasan.client", [*asked, "--json"], "", dict(os.environ))[1]
