"""What a node answers to mail, and how often it does so at no charge."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable
from samprasan.node import limits
from samprasan.node.linking.letters import Letter
from samprasan.node.session import ceremony, mail
from samprasan.node.session.live import Live
from samprasan.node.session.session import Session
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

MANY = limits.FREE_ANSWERS_AT_ONCE + 30
NOBODY: Any = SimpleNamespace(db=None)


class HubOfMail:
    """Hands out mail of nhco and then of codi, and keeps what comes back."""

    def __init__(self, problem: str | None = None) -> None:
        self.posted: list[str] = []
        self.acknowledged: list[int] = []
        self._problem = problem

    async def receive_mail(self, after: int) -> Any:
        for number in range(after + 1, 2 * MANY + 1):
            sender = "nhco" if number <= MANY else "codi"
            yield hub_pb2.ReceiveMailResponse(mail=hub_pb2.Mail(number=number, sender=sender))

    async def post_mail(self, to: str, _sealed: bytes) -> None:
        if self._problem:
            raise Unavailable(self._problem)
        self.posted.append(to)

    async def acknowledge_mail(self, number: int) -> None:
        self.acknowledged.append(number)


async def read_all(monkeypatch: pytest.MonkeyPatch, hub: HubOfMail, *, at_no_charge: bool) -> None:
    """A session reads the box to its end; every piece asks for an answer."""
    monkeypatch.setattr("samprasan.node.session.mail.accepted.has_roster", lambda _: True)
    monkeypatch.setattr("samprasan.node.session.mail.letters.seal", lambda *_: b"")
    monkeypatch.setattr(mail, "read_letter", lambda _, piece: Letter(piece.sender, Envelope(), at_no_charge))
    shown: Any = hub
    with pytest.raises(Unavailable):  # the hub says no more
        await mail.run(Session(NOBODY, shown, Live()))


async def test_one_agency_is_answered_so_often_at_no_charge_and_others_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = HubOfMail()
    await read_all(monkeypatch, hub, at_no_charge=True)
    counts = [hub.posted.count(each) for each in ("nhco", "codi")]
    assert all(limits.FREE_ANSWERS_AT_ONCE <= each <= limits.FREE_ANSWERS_AT_ONCE + 5 for each in counts), counts
    assert len(hub.acknowledged) == 2 * MANY


async def test_what_is_charged_is_answered_always(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = HubOfMail()
    await read_all(monkeypatch, hub, at_no_charge=False)
    assert len(hub.posted) == 2 * MANY


@pytest.mark.parametrize("problem", [Malformed("request"), Refused("no_roster")])
async def test_a_letter_of_a_ceremony_that_can_never_go_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch, problem: SamprasanError
) -> None:
    dealt_with: list[int] = []

    async def post(_session: Session, letter: Letter) -> bool:
        if letter.to == "nhco":
            raise problem
        return True

    steps = "samprasan.node.session.ceremony.ceremony"
    monkeypatch.setattr(mail, "post_letter", post)
    monkeypatch.setattr(f"{steps}.advance", lambda _: None)
    letters = enumerate([Letter("nhco", Envelope()), Letter("codi", Envelope())])
    monkeypatch.setattr(f"{steps}.unposted_letters", lambda _: list(letters))
    monkeypatch.setattr(f"{steps}.mark_posted", lambda _, number: dealt_with.append(number))
    monkeypatch.setattr(f"{steps}.confirmation", lambda _: None)
    monkeypatch.setattr("samprasan.node.session.ceremony.rotation.close_rotation", lambda _: [])
    nobody: Any = None
    running = asyncio.create_task(ceremony.run(Session(NOBODY, nobody, Live())))
    async with asyncio.timeout(20):
        while len(dealt_with) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    assert dealt_with == [0, 1]


@pytest.mark.parametrize("problem", ["mailbox_full", "calls_over_limit"])
async def test_mail_whose_answer_does_not_go_out_now_comes_again(monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    hub = HubOfMail(problem)
    await read_all(monkeypatch, hub, at_no_charge=False)
    assert hub.acknowledged == []
