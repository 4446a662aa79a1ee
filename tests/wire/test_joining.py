"""Joining: an invite works once, for its agency, until it expires."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from samprasan.hub import home as hub_homes
from samprasan.hub.tables import invites

from tests import commands
from tests.commands import Done
from tests.local import Live


class Newcomer:
    """A fourth agency with a home of its own; joining changes no total and no roster."""

    def __init__(self, live: Live, folder: Path, agency: str) -> None:
        self.live = live
        self.agency = agency
        self.home = folder / agency
        self.invite = folder / f"{agency}.invite"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("a passphrase")
        self.passphrase.chmod(0o600)
        made = self.node("init", "--agency", agency, "--passphrase-file", str(self.passphrase))
        assert made.returncode == 0, made.stderr

    def node(self, *arguments: str) -> Done:
        return commands.node(self.home, *arguments, "--lang", "en")

    def invited(self, agency: str | None = None) -> None:
        name = ("--name", "หน่วยงานทดลอง", "--out", str(self.invite))
        made = commands.hub(self.live.federation.home("hub"), "invite", agency or self.agency, *name)
        assert made.returncode == 0, made.stderr

    def join(self) -> Done:
        return self.node("join", str(self.invite))


def expire_invites(live: Live, agency: str) -> None:
    _, db = hub_homes.open_database(live.federation.home("hub"))
    with db.begin() as tx:
        tx.execute(sa.update(invites).where(invites.c.agency == agency).values(expires_at=1))
    db.close()


def test_an_invite_joins_once_and_again_only_with_the_same_keys(live: Live, tmp_path: Path) -> None:
    first = Newcomer(live, tmp_path, "extra1")
    first.invited()
    assert first.join().returncode == 0
    certificate = (first.home / "certificate.der").read_bytes()
    assert first.join().returncode == 0, "a lost answer loses nothing"
    assert (first.home / "certificate.der").read_bytes() == certificate
    (tmp_path / "other").mkdir()
    thief = Newcomer(live, tmp_path / "other", "extra1")
    thief.invite.write_bytes(first.invite.read_bytes())
    refused = thief.join()
    assert refused.returncode == 1
    assert "was used with other keys" in refused.stderr
    assert not (thief.home / "certificate.der").exists()


def test_one_who_joined_but_is_in_no_roster_can_do_nothing(live: Live, tmp_path: Path) -> None:
    newcomer = Newcomer(live, tmp_path, "extra2")
    newcomer.invited()
    assert newcomer.join().returncode == 0
    waiting = newcomer.node("approvals", "list", "--json")
    assert waiting.returncode == 1
    assert "No other agency" in waiting.stderr or "roster" in waiting.stderr


@pytest.mark.parametrize("name", ["\x1b[2K\x1b[1Afake", "ศูนย์ \u202e0000 tsegid", "one\ntwo", ""])
def test_a_name_that_does_not_show_as_itself_invites_nobody(live: Live, tmp_path: Path, name: str) -> None:
    invite = tmp_path / "extra4.invite"
    made = commands.hub(live.federation.home("hub"), "invite", "extra4", "--name", name, "--out", str(invite))
    assert (made.returncode, invite.exists()) == (1, False)
    assert "do not show as themselves" in made.stderr


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("expired", "has expired"),
        ("replaced", "a newer one took its place"),
        ("foreign", "is for extra9"),
        ("garbage", "is no invite"),
        ("tampered", "does not know this invite"),
    ],
)
def test_a_bad_invite_is_refused_in_words_and_leaves_no_certificate(
    live: Live, tmp_path: Path, case: str, says: str
) -> None:
    newcomer = Newcomer(live, tmp_path, "extra3")
    newcomer.invited("extra9" if case == "foreign" else None)
    if case == "expired":
        expire_invites(live, "extra3")
    elif case == "replaced":
        kept = newcomer.invite.read_bytes()
        newcomer.invited()
        newcomer.invite.write_bytes(kept)
    elif case == "garbage":
        newcomer.invite.write_bytes(b"\x00\xff" * 50)
    elif case == "tampered":
        text = newcomer.invite.read_text("utf-8")
        secret = text.partition('"secret": "')[2][:8]
        newcomer.invite.write_text(text.replace(secret, "AAAAAAAA"), "utf-8")
    refused = newcomer.join()
    assert refused.returncode == 1
    assert says in refused.stderr
    assert refused.stderr.count("hint: ") == 1
    assert not (newcomer.home / "certificate.der").exists()
