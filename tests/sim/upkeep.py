"""What an enemy does with the calls that keep books: it moves pseudonyms, cosigns, gives back, compares, introduces."""

from collections.abc import Callable
from typing import Any

from samprasan.hub.accounts import reconciliation
from samprasan.hub.integrators import handle_token
from samprasan.hub.log import checkpoints
from samprasan.keys import checkpoint
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.errors import SamprasanError
from samprasan.v1 import hub_pb2

from tests.sim.adversary import ENEMY, Enemy

APP = "welfare-app"  # the one integrator that is approved
_HUB_SECRET = b"s" * 32


def _rekey(enemy: Enemy) -> None:
    """Accounts are somebody else under the next key, before there is one, or under the one in force."""
    epoch = enemy.linking.key_epoch + enemy.chance.choice((0, 1, 1, 2))
    request = hub_pb2.RekeyRequest(request_id=enemy.chance.randbytes(16), key_epoch=epoch)
    for _ in range(enemy.chance.choice((1, 1, 3))):
        key = enemy.one_of(enemy.keys, enemy.chance.randbytes(32))
        request.accounts.add(account_id=enemy.account(), subject_key=key)
    enemy.ask("rekey", request)


def _cosign(enemy: Enemy) -> None:
    """A checkpoint that the hub signed, or one of its own making, now and then of a time that never was."""
    with enemy.fed.hub.db.read() as tx:
        note = checkpoints.offered_note(tx)
    if not note:
        return
    said = checkpoint.read(note).checkpoint
    if enemy.chance.random() < 0.5:
        said = Checkpoint(said.origin, said.size + enemy.chance.choice((-1, 0, 1)), enemy.chance.randbytes(32))
    seconds = enemy.chance.choice((0, enemy.fed.clock() // 1_000, 1 << 40))
    signer = enemy.node.world.signer
    signed = checkpoint.cosigned(said, enemy.chance.choice((ENEMY, *enemy.others)), signer, seconds)
    enemy.ask("cosign", hub_pb2.CosignRequest(size=said.size, seconds=seconds, signature=signed.signature))


def _give_back(enemy: Enemy) -> None:
    """What the hub never lost, which it then does not take: its entries, others in their place, checkpoints, totals."""
    held = hub_pb2.RefeedRequest
    given = [held(evaluated=each) for each in enemy.totals()]
    if enemy.entries:
        batch, receipt = enemy.chance.choice(enemy.entries)
        given.append(held(entry=hub_pb2.LogEntry(batch=enemy.chance.choice([batch, *enemy.sent]), receipt=receipt)))
    with enemy.fed.hub.db.read() as tx:
        given.append(held(checkpoint=checkpoints.offered_note(tx)))
    enemy.chance.shuffle(given)
    enemy.ask("refeed", given)


def _compare(enemy: Enemy) -> None:
    """It compares its books, asks what the hub has on accounts of others, and says that all of it is wrong."""
    hub = enemy.fed.hub
    try:
        begin = hub_pb2.ReconcileBegin(nonce=enemy.chance.randbytes(enemy.chance.choice((32, 32, 32, 0))))
        talk: Any = reconciliation.begin_conversation(hub, ENEMY, begin)
        talk.begun()
        talk.cells()
        told = talk.answer(hub_pb2.ReconcileAsk(account_ids=[enemy.account() for _ in range(3)])).told.accounts
        enemy.compared = [each.account_id for each in told if each.linked or each.spent or any(each.earned)]
        count = enemy.chance.choice((1, 1 << 63))
        wrong = hub_pb2.CauseCount(cause=hub_pb2.DIFFERENCE_CAUSE_MISSING_BATCH, accounts=count)
        reconciliation.record_verdict(hub, talk, hub_pb2.ReconcileVerdict(causes=[wrong] * 3))
    except SamprasanError:
        return


def _introduce(enemy: Enemy) -> None:
    """It asks for a token by which an integrator learns who somebody is."""
    account_id = enemy.account()
    request = hub_pb2.IssueTokenRequest(account_id=account_id, integrator=enemy.chance.choice((APP, APP, "no-app")))
    try:
        handle_token.issue(enemy.fed.hub, _HUB_SECRET, ENEMY, request)
    except SamprasanError:
        return
    enemy.introduced = [account_id]


UPKEEP: list[tuple[str, Callable[[Enemy], None]]] = [
    ("rekey", _rekey),
    ("cosign", _cosign),
    ("give_back", _give_back),
    ("compare", _compare),
    *[("introduce", _introduce)] * 2,
]
