"""Hubs and nodes that are lost, and put back as they were earlier."""

from samprasan.hub.log import audit
from samprasan.hub.recovery import recovery
from samprasan.keys.identifiers import Identifier
from samprasan.node.counter import redemption
from samprasan.node.sync import halt

from tests.federation import Federation, HubParty, NodeParty
from tests.redemptions import wish


def standing(hub: HubParty) -> object:
    with hub.db.read() as tx:
        return recovery.recovery_progress(tx)


def replace_hub(fed: Federation, earlier: Federation, why: str = recovery.RESTORED) -> HubParty:
    """The hub's database is the one of ``earlier``; the hub that was."""
    lost = fed.hub
    fed.hub = HubParty(earlier.hub.db, lost.world, lost.authority)
    if why:
        recovery.begin_recovery(fed.hub, why)
    return lost


def is_sound(hub: HubParty) -> bool:
    report = audit.audit(hub, hub.world.signer.public_key)
    assert report.problems == []
    return True


def ask_for_rice(fed: Federation, agency: str, number: int, subject: Identifier) -> None:
    node = fed.nodes[agency]
    redemption.request_redemption(node, wish(number, subject=subject))


def restored(fed: Federation, earlier: Federation, agency: str = "mpc") -> NodeParty:
    """The agency's database is the one of ``earlier``; the node that was."""
    lost = fed.nodes[agency]
    fed.nodes[agency] = NodeParty(earlier.nodes[agency].db, lost.world, lost.identity)
    with fed.nodes[agency].db.begin() as tx:
        halt.halt_restored(tx)
    return lost
