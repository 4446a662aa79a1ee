"""Doctor: what an IT officer checks first when a node does not do what it should."""

import asyncio
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from samprasan.edge.texts import Words, language
from samprasan.keys import certificates, ristretto
from samprasan.keys.errors import Refused, SamprasanError
from samprasan.ledger import calendar
from samprasan.node import home as homes
from samprasan.node import limits, store
from samprasan.node.home import Home
from samprasan.node.linking import shares
from samprasan.node.process import serve
from samprasan.node.sync import hello
from samprasan.node.sync import outbox as sync_outbox

words = Words("samprasan.node")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome; ``remedy`` is empty if all is well."""

    check: str
    ok: bool
    message: str
    remedy: str = ""


def examine(path: Path) -> list[Finding]:
    """Every check, in the order in which one needs the other."""
    findings = [_checked("folder", lambda: _folder(path))]
    try:
        opened = homes.open_home(path)
    except SamprasanError as problem:
        return [*findings, _failed("keys", problem)]
    findings.append(Finding("keys", True, words("doctor_keys")))
    checks: list[tuple[str, Callable[[], str]]] = [
        ("libsodium", _libsodium),
        ("database", lambda: _database(opened)),
        ("roster", lambda: _roster(opened)),
        ("policy", lambda: _policy(opened)),
        ("certificate", lambda: _certificate(opened)),
        ("hub", lambda: _hub(opened)),
        ("sending", lambda: _sending(opened)),
    ]
    return findings + [_checked(name, check) for name, check in checks]


def document(findings: list[Finding]) -> dict[str, Any]:
    """The answer of ``samprasan-node doctor``."""
    return {
        "ok": all(each.ok for each in findings),
        "findings": [
            {"check": each.check, "ok": each.ok, "message": each.message, "remedy": each.remedy} for each in findings
        ],
    }


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except SamprasanError as problem:
        return _failed(name, problem)


def _failed(name: str, problem: SamprasanError) -> Finding:
    return Finding(name, False, problem.text(language()), problem.hint(language()))


def _folder(path: Path) -> str:
    homes.NodeSettings.load(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused("home_exposed", folder=path)
    return words("doctor_folder", folder=path)


def _libsodium() -> str:
    return words("doctor_libsodium", source=ristretto.library()[1])


def _database(opened: Home) -> str:
    outbox = sync_outbox.outbox(opened.node.db, opened.node.world.now())
    return words("doctor_database", queued=outbox.queued)


def _roster(opened: Home) -> str:
    with opened.node.db.read() as tx:
        current = store.documents.agreed_on(tx).required_roster
        if not current.HasField("linking"):
            raise Refused("no_linking_key")
        if shares.share_held(tx, opened.node.identity, current.linking) is None:
            raise Refused("no_share")
    return words("doctor_roster", version=current.version, agencies=len(current.members))


def _policy(opened: Home) -> str:
    with opened.node.db.read() as tx:
        found = list(store.documents.agreed_on(tx).policies.values())
    if not found:
        raise Refused("no_policy")
    return words("doctor_policy", version=found[-1].version)


def _certificate(opened: Home) -> str:
    opened.hub_address()
    ends = certificates.expires_at(opened.certificate or b"")
    day = calendar.day_of(int(ends.timestamp() * 1000))
    left = ends - calendar.at(opened.node.world.now())
    if left < timedelta(days=limits.WARN_DAYS):
        raise Refused("certificate_ending", day=calendar.buddhist(day))
    return words("doctor_certificate", day=calendar.buddhist(day))


def _hub(opened: Home) -> str:
    node = opened.node
    request = hello.compose_hello(node).request
    answer = asyncio.run(serve.ask(opened.connect, lambda hub: hub.hello(request)))
    off_ms = answer.now - node.world.now()
    if abs(off_ms) > limits.CLOCK_OFF_MS_MAX:
        raise Refused("clock_off", seconds=round(off_ms / 1000))
    return words("doctor_hub", address=opened.hub_address(), seq=answer.head.seq)


def _sending(opened: Home) -> str:
    halted = sync_outbox.outbox(opened.node.db, opened.node.world.now()).halted
    if halted:
        raise Refused("halted", reason=halted)
    return words("doctor_sending")
