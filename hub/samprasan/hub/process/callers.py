"""Who calls: the agency or the integrator of the certificate that a connection showed, and what it may do now."""

import asyncio
import re
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from samprasan.edge import wire
from samprasan.hub.integrators import approval as integrators_approval
from samprasan.hub.integrators.approval import Approved
from samprasan.hub.members import hello
from samprasan.hub.process.running import Running
from samprasan.keys import certificates

_MOMENT = re.compile(r"[0-9]{1,15}")
APPROVAL_SECONDS = 2.0  # a stream notices within this, and its next bookmark, that an integrator was revoked


async def integrator_of(running: Running, context: Any) -> Approved:
    """The integrator of the certificate that the connection showed, which may read now."""
    pem = context.auth_context().get("x509_pem_cert", [b""])[0]
    named = certificates.integrator_of(pem)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    known, now = certificates.fingerprint(der), asyncio.get_running_loop().time()
    coming = asyncio.ensure_future(running.read(integrators_approval.identify_caller, running.hub, known, named))
    name = (await coming).document.name
    if running.approvals.get(name, (None, 0.0))[1] <= now:  # a stream that begins is not ended by what held before
        running.approvals[name] = (coming, now)
    return coming.result()


async def current_approval(running: Running, name: str) -> Approved:
    """What the integrator may read; looked up every few seconds, however many streams ask."""
    now = asyncio.get_running_loop().time()
    coming, at = running.approvals.get(name, (None, 0.0))
    is_failed = coming is not None and coming.done() and (coming.cancelled() or coming.exception() is not None)
    if coming is None or is_failed or now - at > APPROVAL_SECONDS:
        coming = asyncio.ensure_future(running.read(integrators_approval.current_approval, running.hub, name))
        running.approvals[name] = (coming, now)
    return await asyncio.shield(coming)


async def agency_of(running: Running, context: Any, *, to_recover: bool = False) -> str:
    """The agency of the certificate that the connection showed; only what is ``to_recover`` goes on meanwhile."""
    pem = context.auth_context().get("x509_pem_cert", [b""])[0]
    named = certificates.agency_of(pem)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    known = partial(hello.identify_caller, to_recover=to_recover)
    agency = await running.read(known, running.hub.db, certificates.fingerprint(der), named)
    _hear_clock(running, agency, context)
    return agency


def _hear_clock(running: Running, agency: str, context: Any) -> None:
    """What the caller's clock shows: the hub's own is measured against those of the agencies."""
    said = dict(context.invocation_metadata() or ()).get(wire.CLOCK_KEY, "")
    others = running.hub.world.others
    if others is not None and isinstance(said, str) and _MOMENT.fullmatch(said):
        others.note(agency, int(said))
