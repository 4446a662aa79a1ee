"""What the operator sees: the log, the shared totals, every agency."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from statistics import median_high, median_low
from typing import Any

from samprasan.edge import clocks
from samprasan.edge.database import Database, Tx
from samprasan.edge.metrics import Gauge
from samprasan.hub import limits, store
from samprasan.hub.accounts import rotation_progress
from samprasan.hub.integrators import approval
from samprasan.hub.log import checkpoints
from samprasan.hub.members import probing_alarm
from samprasan.hub.members.probing_alarm import Use
from samprasan.hub.recovery import recovery
from samprasan.ledger import calendar, limit_usage, policy
from samprasan.ledger.limit_usage import Nearing
from samprasan.ledger.state import AgencyTotals

CONNECTED_MS = 120_000  # a node says hello every 60 s; one lost hello is no alarm


def warnings(db: Database, now: int) -> list[dict[str, Any]]:
    """Limits of which 70 % or more is taken."""
    with db.read() as tx:
        return limit_usage.near(_limits(tx, now))


def _limits(tx: Tx, now: int) -> Iterator[Nearing]:
    """Every limit that fills up over time, with the name of its setting."""
    today = calendar.day_of(now)
    policy_now = policy.in_force(store.documents.agreed_on(tx).policies.values(), today)
    for agency, did in store.ledger.agency_totals(tx).items():
        if policy_now and did.day == calendar.packed(today):
            for name, used in (
                ("credits_per_agency_day_max", did.spendable_on_day),
                ("write_offs_per_agency_day_max", did.written_off_on_day),
                ("reserves_per_agency_day_max", did.reserved_on_day),
            ):
                yield Nearing(f"policy: {name}", agency, used, getattr(policy_now, name))
    for (reader, sender), count in store.mailbox.waiting_by_pair(tx).items():
        yield Nearing("mail_waiting_max", f"{sender} → {reader}", count, limits.MAIL_WAITING_MAX)
    for agency, count in store.log.refusals_by_agency(tx).items():
        yield Nearing("refusals_per_agency_max", agency, count, limits.REFUSALS_PER_AGENCY_MAX)
    for proposer, (count, size) in store.documents.proposals_by_proposer(tx).items():
        yield Nearing("proposals_of_one_max", proposer, count, limits.PROPOSALS_OF_ONE_MAX)
        yield Nearing("proposals_of_one_bytes_max", proposer, size, limits.PROPOSALS_OF_ONE_BYTES_MAX)


def status(db: Database, now: int) -> dict[str, Any]:
    """The answer of ``samprasan-hub status``."""
    with db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        awarded = store.ledger.agency_totals(tx)
        seen = store.members.last_seen(tx)
        codes = sorted({each.agency for each in store.members.invited(tx)})
        uses = {each.agency: each for each in probing_alarm.linking_use(tx, now)}
        agreed_at = store.contributions.agreed_at(tx)
        reconciled = store.contributions.newest_by_agency(tx)
        agencies = []
        for agency in codes:
            head = store.log.chain_head(tx, agency)
            seen_at = seen.get(agency, 0)
            did = awarded.get(agency, AgencyTotals())
            agencies.append(
                {
                    "agency": agency,
                    "connected": now - seen_at < CONNECTED_MS,
                    "seq": head.seq,
                    "digest": head.digest.hex(),
                    "last_seen": _moment(seen_at),
                    "earned": did.earned,
                    "written_off": did.written_off,
                    "spent": did.spent,
                    "accounts": did.accounts,
                    "agreed_at": _moment(agreed_at.get(agency, 0)),
                    "differences": reconciled[agency].differences if agency in reconciled else None,
                    "linking": _use(uses.get(agency) or Use(agency, 0, did.used)),
                }
            )
        return {
            "federation_id": agreed.federation_id.hex(),
            "roster": agreed.roster.version if agreed.roster else 0,
            "log": _log(tx, now),
            "totals": store.ledger.federation_totals(tx),
            "agencies": agencies,
            "clock": _clock(tx, now),
            "recovery": recovery.recovery_progress(tx),
            "rotation": asdict(running) if (running := rotation_progress.rotation_progress(tx)) else None,
            "warnings": limit_usage.near(_limits(tx, now)),
        }


def _use(use: Use) -> dict[str, Any]:
    """Ids evaluated for an agency more than 30 days ago, and what came of them."""
    counts = {"evaluated": use.evaluated, "used": use.used, "unused": use.unused, "probing": use.is_probing}
    return counts | {"alone": use.alone}


def _moment(at: int) -> str | None:
    return calendar.iso(at) if at else None


def _clock(tx: Tx, now: int) -> dict[str, Any]:
    """How far the hub's clock is ahead of those that said hello lately, and whether that keeps it from writing."""
    ahead = store.members.clocks_ahead(tx, now - CONNECTED_MS)
    off = min((-each for each in (median_low(ahead.values()), median_high(ahead.values()))), key=abs) if ahead else None
    return {
        "ahead_seconds": None if off is None else round(off / 1000),
        "stopped": off is not None and abs(off) > clocks.OFF_MAX_MS,
        "agencies_ahead_seconds": {agency: round(each / 1000) for agency, each in sorted(ahead.items())},
    }


def clock_off(db: Database, now: int) -> int | None:
    """By how many seconds the hub's clock is off, if that keeps it from writing."""
    with db.read() as tx:
        found = _clock(tx, now)
    return int(found["ahead_seconds"]) if found["stopped"] else None


def reconciliations(db: Database, limit: int) -> list[dict[str, Any]]:
    """The answer of ``samprasan-hub reconciliations``: the newest first."""
    with db.read() as tx:
        return [
            each._asdict() | {"at": _moment(each.at), "causes": dict(each.causes)}
            for each in store.contributions.history(tx, limit)
        ]


def _log(tx: Tx, now: int) -> dict[str, Any]:
    """The log, and how far the agencies have witnessed it."""
    size, standing = store.log.head_now(tx).size, checkpoints.witness_status(tx, now)
    checkpoint = {"size": standing.size, "final": standing.final, "cosigned": standing.cosigned, "late": standing.late}
    damaged = {str(index): what for index, what in store.damages.first(tx, limits.DAMAGES_SHOWN).items()}
    root = store.tree.root(tx, size).hex()
    return {"size": size, "root": root, "checkpoint": checkpoint, "damaged": damaged}


def late_witnesses(db: Database, now: int) -> list[tuple[str, int]]:
    """Agencies that have cosigned nothing newer for too long, and the size that they did."""
    with db.read() as tx:
        standing = checkpoints.witness_status(tx, now)
    return [(agency, standing.cosigned[agency]) for agency in standing.late]


def probers(db: Database, now: int) -> list[tuple[str, int]]:
    """Agencies that have too many ids evaluated which lead to nothing, and how many."""
    with db.read() as tx:
        return [(each.agency, each.unused) for each in probing_alarm.linking_use(tx, now) if each.is_probing]


def gauges(db: Database, now: int) -> list[Gauge]:
    """What a monitoring system reads."""
    document = status(db, now)
    followed = {
        each["name"]: each["subscriptions"]
        for each in approval.list_integrators(db, now)
        if each["state"] == "approved"
    }
    agencies = document["agencies"]
    log = document["log"]
    witnessed = log["checkpoint"]

    def each(name: str, help_text: str, value: Callable[[dict[str, Any]], float]) -> Gauge:
        return Gauge(f"samprasan_hub_{name}", help_text, {each["agency"]: value(each) for each in agencies})

    return [
        Gauge(
            "samprasan_hub_clock_ahead_seconds",
            "Ahead of the agencies'.",
            {"": document["clock"]["ahead_seconds"] or 0},
        ),
        Gauge(
            "samprasan_hub_clock_stopped",
            "1 if the clock is so far off that nothing is written.",
            {"": document["clock"]["stopped"]},
        ),
        Gauge("samprasan_hub_log_size", "Entries in the log.", {"": document["log"]["size"]}),
        Gauge("samprasan_hub_limits_near", "Limits of which 70 % is taken.", {"": len(document["warnings"])}),
        Gauge("samprasan_hub_log_damaged", "Log entries that are not what was stored.", {"": len(log["damaged"])}),
        Gauge(
            "samprasan_hub_recovering",
            "1 while the agencies give back what was lost.",
            {"": document["recovery"] is not None},
        ),
        Gauge("samprasan_hub_checkpoint_final", "Log entries that all have witnessed.", {"": witnessed["final"]}),
        each(
            "checkpoint_late",
            "1 if it has not cosigned for ten minutes.",
            lambda row: row["agency"] in witnessed["late"],
        ),
        Gauge(
            "samprasan_hub_integrator_behind",
            "Log entries that the slowest of its subscriptions has not acknowledged.",
            {name: max((one["behind"] for one in its), default=0) for name, its in followed.items()},
            "integrator",
        ),
        Gauge(
            "samprasan_hub_integrator_silent",
            "Subscriptions of which nothing was heard for a week.",
            {name: sum(one["is_silent"] for one in its) for name, its in followed.items()},
            "integrator",
        ),
        each("agency_connected", "1 if the agency said hello within two minutes.", lambda row: row["connected"]),
        each("reconcile_differences", "Accounts that differed at the last one.", lambda row: row["differences"] or 0),
        each("agency_seq", "The agency's newest batch in the log.", lambda row: row["seq"]),
        each(
            "linking_evaluated", "Ids evaluated for it more than 30 days ago.", lambda row: row["linking"]["evaluated"]
        ),
        each("linking_unused", "Of these, those that led to nothing.", lambda row: row["linking"]["unused"]),
        each("linking_probing", "1 if too many led to nothing.", lambda row: row["linking"]["probing"]),
    ]
