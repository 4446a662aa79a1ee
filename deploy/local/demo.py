"""The main job in one go: three agencies import their exports, and every subject's credits meet in one account.

    make demo

brings up a hub and three nodes as processes on this machine (SQLite, mutual TLS on loopback), imports the sample
exports, shows one person's balance at agencies that never showed each other a record, the shared totals, and how
credits of three agencies are spent on a benefit of one, once, while an app follows.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from federation import AGENCIES, SAMPLES, Federation
from rich.console import Console
from samprasan.client import follow, snapshot
from samprasan.edge import command
from samprasan.keys.credentials import Credentials, Issued

ORACLE: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
EXPECTED: dict[str, Any] = ORACLE["first"]
T = TypeVar("T")
console = Console(soft_wrap=True)


def main() -> int:
    """Tell the story; exit 1 if the totals are not those that were worked out independently."""
    with tempfile.TemporaryDirectory(prefix="samprasan-demo-") as name:
        federation = Federation(Path(name) / "federation")
        try:
            console.print("[bold]1. A hub and three nodes[/bold] join, and approve roster 1 and the joint policy …")
            federation.set_up()
            tell(federation)
            first = check(federation, EXPECTED["federation"])
            tell_of_corrections(federation)
            second = check(federation, ORACLE["attendance"]["federation"])
            third = tell_of_redemption(federation, welfare_app(federation))
            console.print("Next: docs/start.md; it begins with a federation that stays until you stop it:")
            console.print("   .venv/bin/python deploy/local/federation.py --home fed")
            return first or second or third
        finally:
            federation.stop()


def at_each(do: Callable[[str], T], agencies: Collection[str] = tuple(AGENCIES)) -> dict[str, T]:
    """The answers of ``do`` by agency, all asked at once."""
    with ThreadPoolExecutor(len(agencies)) as pool:
        return dict(zip(agencies, pool.map(do, agencies), strict=True))


def tell(federation: Federation) -> None:
    """Import, link, send; then one balance from two agencies."""
    console.print("[bold]2. Each agency imports its own export[/bold]; faulty rows stay out, with their reasons:")
    reports = at_each(federation.import_samples)
    columns = ["agency", "rows", "accepted", "rejected", "deeds shared", "credits shared", "deeds kept"]
    rows = [
        [
            agency,
            report["rows"],
            report["accepted"],
            sum(map(len, report["rejected"].values())),
            report["shared"],
            report["credits_shared"],
            report["kept_local"],
        ]
        for agency, report in reports.items()
    ]
    console.print(command.table("", columns, rows))
    example = reports["mpc"]["rejected"]["invalid_subject_id"][0]["message"]
    console.print(f"   such as: {example}")
    console.print("[bold]3. Subjects are linked[/bold] by two-of-three pseudonyms, and signed batches are settled …")
    at_each(lambda agency: federation.answer(agency, "sync", "--wait", "60"))
    console.print("[bold]4. One balance across agencies[/bold], read at each that knows the person:")
    subject, expected = shared_person()
    asked = ("balance", "--id", subject)
    found = at_each(lambda agency: federation.answer(agency, *asked), expected["by_agency"])
    balances = [[agency, each["earned_here"], each["earned"], each["available"]] for agency, each in found.items()]
    console.print(command.table("", ["asked at", "earned here", "earned in all", "available"], balances))


def shared_person() -> tuple[str, Any]:
    """A person of the samples whom all three agencies know."""
    return next(
        (subject, entry)
        for subject, entry in EXPECTED["subjects"].items()
        if entry["kind"] == "person" and len(entry["by_agency"]) == len(AGENCIES)
    )


def tell_of_corrections(federation: Federation) -> None:
    """The newer exports say otherwise of some records; the hub moves the differences."""
    console.print("[bold]5. A month later[/bold] the newer exports correct the first, and an attendance list comes in:")
    reports = at_each(lambda agency: federation.import_samples(agency, "deeds-later"))
    reports["mpc, attendance"] = federation.import_samples("mpc", "attendance", "mpc-attendance")
    columns = ["export", "rows", "accepted", "corrected", "unchanged"]
    console.print(
        command.table("", columns, [[name, *(each[key] for key in columns[1:])] for name, each in reports.items()])
    )
    at_each(lambda agency: federation.answer(agency, "sync", "--wait", "60"))


def welfare_app(federation: Federation) -> Credentials:
    """An app that two agencies approved, and to which the person agrees at all three."""
    console.print("[bold]6. An app[/bold] is approved by two agencies; the person agrees to it at all three …")
    purpose = ("--title", "Welfare app", "--purpose", "Shows people their own credits", "--scope", "balances")
    waiting = federation.answer("hub", "integrator", "propose", "welfare-app", *purpose)["id"]
    digest = federation.answer("mpc", "approvals", "show", waiting)["digest"]
    at_each(lambda agency: federation.run(agency, "approvals", "approve", waiting, "--digest", digest), ("mpc", "nhco"))
    own = Credentials.new("welfare-app")
    request, certificate = federation.folder / "app.request", federation.folder / "app.certificate"
    request.write_bytes(own.request)
    certify = ("integrator", "certify", "welfare-app", "--request", str(request), "--out", str(certificate))
    federation.run("hub", *certify)
    subject, expected = shared_person()

    def agree(agency: str) -> None:
        federation.run(agency, "consent", "give", "--id", subject, "--purpose", "integrators")
        federation.answer(agency, "sync", "--wait", "60")

    at_each(agree, expected["by_agency"])
    return own.accepted(Issued.decode(certificate.read_bytes()))


def tell_of_redemption(federation: Federation, app: Credentials) -> int:
    """Credits of three agencies are spent on a benefit of one, once, and an app sees it; exit 1 if not."""
    console.print("[bold]7. At a counter[/bold] of mpc, the same person asks for a benefit of codi, twice:")
    subject, _ = shared_person()
    *_, bookmark = snapshot(app)
    before = federation.answer("mpc", "balance", "--id", subject)
    federation.answer("codi", "benefit", "publish", str(SAMPLES / "benefits" / "codi.toml"))
    federation.answer("mpc", "benefit", "list")
    asked = ("redeem", "--id", subject, "--benefit", "codi/learning-trip", "--authorised-by", "card")
    tries = [federation.answer("mpc", *asked) for _ in range(2)]
    names = {"subject": "who", "state": "state", "reason": "why not", "available": "left", "receipt": "receipt"}
    rows = [[each[name] or "" for name in names] for each in tries]
    columns = list(names.values())
    console.print(f"   {before['earned']} credits in all, {before['earned_here']} of them earned at mpc")
    console.print(command.table("", columns, rows))
    found = [(each["state"], each["reason"]) for each in tries]
    right = found == [("posted", None), ("declined", "insufficient_credits")]
    audit = federation.answer("hub", "audit")
    console.print(f"spent once: {right}; audit ok: {audit['ok']}")
    console.print("[bold]8. The app[/bold] was told, under a handle that nobody else has:")
    seen = list(
        takewhile(lambda change: change.type != "bookmark", follow(app, after=bookmark.cursor or "", bookmarks=True))
    )
    changes = [each for each in seen if each.handle]
    columns = ["what", "handle", "cause", "credits", "available", "held", "spent"]
    rows = [
        [each.type, (each.handle or "")[:12], each.cause, each.credits, each.available, each.held, each.spent]
        for each in changes
    ]
    console.print(command.table("", columns, rows))
    told = [each.cause for each in changes] == ["reserve", "post"]
    console.print(f"the app saw it once: {told}")
    return 0 if right and told and audit["ok"] else 1


def check(federation: Federation, expected: dict[str, Any]) -> int:
    """Show the shared totals, and compare them with the oracle's."""
    status, audit = federation.answer("hub", "status"), federation.answer("hub", "audit")
    totals = status["totals"]
    console.print("   [bold]The shared totals[/bold], held by a hub that knows nobody:")
    console.print(command.table("", totals, [list(totals.values())]))
    right = totals["earned"] == expected["earned"] and audit["ok"]
    verdict = "as expected" if right else f"NOT as expected: {expected}"
    console.print(f"{totals['earned']} credits of {expected['subjects']} subjects: {verdict}; audit ok: {audit['ok']}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
