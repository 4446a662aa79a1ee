"""A typed connection to a hub: one method a call, a deadline on each, and our own errors instead of gRPC's.

``Hub`` is what callers are written against; :class:`Connection` is the real one, over a channel of mutual TLS 1.3.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
from samprasan.edge import wire
from samprasan.edge.world import system_clock
from samprasan.keys import certificates
from samprasan.keys.errors import Malformed
from samprasan.keys.invitation import Invitation
from samprasan.v1 import hub_pb2, hub_pb2_grpc
from samprasan.v1.envelope_pb2 import Envelope

RECONCILE_SECONDS = 600.0  # a million accounts take seconds on both sides
LISTING_SECONDS = 120.0  # megabytes over a bad line
LISTING_BYTES_MAX = 64 * 1024 * 1024  # a hundred times what a federation of years has
RECOVER_SECONDS = 6 * 3600.0  # a whole log, batch by batch


class Hub(Protocol):
    """What a node asks of a hub.  Every method may raise any of the four errors."""

    async def hello(self, request: hub_pb2.HelloRequest) -> hub_pb2.HelloResponse:
        """Say one's head, hear the hub's."""

    async def open_accounts(self, request: hub_pb2.OpenAccountsRequest) -> Sequence[Envelope]:
        """A signed AccountOpened for each subject, in the order asked."""

    async def rekey(self, request: hub_pb2.RekeyRequest) -> Sequence[Envelope]:
        """A signed AccountOpened for each account that is found under the next linking key now."""

    async def totals(self, request: hub_pb2.GetTotalsRequest) -> Envelope:
        """A signed Totals."""

    def push(self, requests: AsyncIterable[hub_pb2.PushRequest]) -> AsyncIterator[hub_pb2.PushResponse]:
        """Send signed batches as they come; an answer for each, in order."""

    async def post_mail(self, to: str, sealed: bytes) -> None:
        """Put mail into an agency's box."""

    def receive_mail(self, after: int) -> AsyncIterator[hub_pb2.ReceiveMailResponse]:
        """Mail with a higher number, and word of changed documents, until the connection ends."""

    async def acknowledge_mail(self, number: int) -> None:
        """Let the hub forget a piece of mail."""

    async def submit_document(self, document: Envelope) -> None:
        """Propose or approve."""

    async def submit_dissent(self, dissent: Envelope) -> bool:
        """Decline or withdraw; whether the proposal is over."""

    async def list_documents(self) -> hub_pb2.ListDocumentsResponse:
        """What is in force and what waits."""

    async def issue_token(self, request: hub_pb2.IssueTokenRequest) -> Envelope:
        """A signed HandleToken."""

    async def witness(self, request: hub_pb2.WitnessRequest) -> hub_pb2.WitnessResponse:
        """The newest checkpoint, with the proofs asked for."""

    async def cosign(self, word: hub_pb2.CosignRequest) -> None:
        """Give one's cosignature."""

    def reconcile(self, requests: AsyncIterable[hub_pb2.ReconcileRequest]) -> AsyncIterator[hub_pb2.ReconcileResponse]:
        """Talk about differences, as :mod:`samprasan.ledger.sketch` tells."""

    def recall(self, request: hub_pb2.RecallRequest) -> AsyncIterator[hub_pb2.LogEntry]:
        """Read back a chain as it stands in the log."""

    async def refeed(self, held: Iterable[hub_pb2.RefeedRequest]) -> int:
        """Give back what the hub once gave; how many entries it lacked."""


Connect = Callable[[], "contextlib.AbstractAsyncContextManager[Hub]"]  # opens a connection as one caller


def open_channel(address: str, authority_der: bytes, key_pem: bytes, certificate_der: bytes) -> grpc.aio.Channel:
    """A channel to the hub at ``address`` over mutual TLS 1.3; certificates are DER."""
    credentials = wire.channel_credentials(
        certificates.pem_of(authority_der), key_pem, certificates.pem_of(certificate_der)
    )
    return grpc.aio.secure_channel(address, credentials, options=wire.CHANNEL_OPTIONS)


class Connection:
    """The hub behind a channel, which it closes; use it as an async context manager."""

    def __init__(self, channel: grpc.aio.Channel, clock: Callable[[], int] = system_clock) -> None:
        """``clock`` is told with each call."""
        self._clock = clock
        self._channel = channel
        self._hub: Any = hub_pb2_grpc.HubStub(channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def _ask(self, method: Callable[..., Any], request: object) -> Any:
        return await _asked(method, request, self._now())

    def _now(self) -> Sequence[tuple[str, str]]:
        return ((wire.CLOCK_KEY, str(self._clock())),)

    async def hello(self, request: hub_pb2.HelloRequest) -> hub_pb2.HelloResponse:
        """Say one's head, hear the hub's."""
        response: hub_pb2.HelloResponse = await self._ask(self._hub.Hello, request)
        return response

    async def open_accounts(self, request: hub_pb2.OpenAccountsRequest) -> Sequence[Envelope]:
        """A signed AccountOpened for each subject, in the order asked."""
        response: hub_pb2.OpenAccountsResponse = await self._ask(self._hub.OpenAccounts, request)
        return response.accounts_opened

    async def rekey(self, request: hub_pb2.RekeyRequest) -> Sequence[Envelope]:
        """A signed AccountOpened for each account that is found under the next linking key now."""
        response: hub_pb2.RekeyResponse = await self._ask(self._hub.Rekey, request)
        return response.accounts_opened

    async def totals(self, request: hub_pb2.GetTotalsRequest) -> Envelope:
        """A signed Totals."""
        response: hub_pb2.GetTotalsResponse = await self._ask(self._hub.GetTotals, request)
        return response.totals

    async def issue_token(self, request: hub_pb2.IssueTokenRequest) -> Envelope:
        """A signed HandleToken."""
        response: hub_pb2.IssueTokenResponse = await self._ask(self._hub.IssueToken, request)
        return response.token

    async def push(self, requests: AsyncIterable[hub_pb2.PushRequest]) -> AsyncIterator[hub_pb2.PushResponse]:
        """Send signed batches as they come; an answer for each, in order."""
        source = _Source(requests)
        async for response in _streamed(self._hub.Push(aiter(source), metadata=self._now()), source):
            yield response

    async def post_mail(self, to: str, sealed: bytes) -> None:
        """Put mail into an agency's box."""
        await self._ask(self._hub.PostMail, hub_pb2.PostMailRequest(to=to, sealed=sealed))

    async def receive_mail(self, after: int) -> AsyncIterator[hub_pb2.ReceiveMailResponse]:
        """Mail with a higher number, and word of changed documents, until the connection ends."""
        async for response in _streamed(
            self._hub.ReceiveMail(hub_pb2.ReceiveMailRequest(after=after), metadata=self._now())
        ):
            yield response

    async def acknowledge_mail(self, number: int) -> None:
        """Let the hub forget a piece of mail."""
        await self._ask(self._hub.AcknowledgeMail, hub_pb2.AcknowledgeMailRequest(number=number))

    async def submit_document(self, document: Envelope) -> None:
        """Propose or approve."""
        await self._ask(self._hub.SubmitDocument, hub_pb2.SubmitDocumentRequest(document=document))

    async def submit_dissent(self, dissent: Envelope) -> bool:
        """Decline or withdraw; whether the proposal is over."""
        request = hub_pb2.SubmitDissentRequest(dissent=dissent)
        response: hub_pb2.SubmitDissentResponse = await self._ask(self._hub.SubmitDissent, request)
        return response.over

    async def list_documents(self) -> hub_pb2.ListDocumentsResponse:
        """What is in force and what waits."""
        listing, size = hub_pb2.ListDocumentsResponse(), 0
        pages = self._hub.ListDocuments(hub_pb2.ListDocumentsRequest(), timeout=LISTING_SECONDS, metadata=self._now())
        async for page in _streamed(pages):
            size += page.ByteSize()
            if size > LISTING_BYTES_MAX:
                raise Malformed("listing_over_limit", bytes_max=LISTING_BYTES_MAX)
            listing.MergeFrom(page)
        return listing

    async def witness(self, request: hub_pb2.WitnessRequest) -> hub_pb2.WitnessResponse:
        """The newest checkpoint, with the proofs asked for."""
        response: hub_pb2.WitnessResponse = await self._ask(self._hub.Witness, request)
        return response

    async def cosign(self, word: hub_pb2.CosignRequest) -> None:
        """Give one's cosignature."""
        await self._ask(self._hub.Cosign, word)

    async def reconcile(
        self, requests: AsyncIterable[hub_pb2.ReconcileRequest]
    ) -> AsyncIterator[hub_pb2.ReconcileResponse]:
        """Talk about differences, as :mod:`samprasan.ledger.sketch` tells."""
        source = _Source(requests)
        async for response in _streamed(
            self._hub.Reconcile(aiter(source), timeout=RECONCILE_SECONDS, metadata=self._now()), source
        ):
            yield response

    async def recall(self, request: hub_pb2.RecallRequest) -> AsyncIterator[hub_pb2.LogEntry]:
        """Read back a chain as it stands in the log."""
        async for response in _streamed(self._hub.Recall(request, timeout=RECOVER_SECONDS, metadata=self._now())):
            yield response.entry

    async def refeed(self, held: Iterable[hub_pb2.RefeedRequest]) -> int:
        """Give back what the hub once gave; how many entries it lacked.  ``held`` is read in a thread."""

        async def requests() -> AsyncIterator[hub_pb2.RefeedRequest]:
            waiting = iter(held)
            while (request := await asyncio.to_thread(next, waiting, None)) is not None:
                yield request

        source = _Source(requests())
        try:
            response: hub_pb2.RefeedResponse = await self._hub.Refeed(aiter(source), timeout=RECOVER_SECONDS)
        except grpc.RpcError as problem:
            raise wire.from_rpc_error(problem) from None
        except asyncio.CancelledError:
            source.check()
            raise
        return response.taken


async def join(invitation: Invitation, application: Envelope) -> bytes:
    """Trade an invite for a client certificate, DER."""
    credentials = wire.channel_credentials(certificates.pem_of(invitation.authority))
    async with grpc.aio.secure_channel(invitation.join, credentials, options=wire.CHANNEL_OPTIONS) as channel:
        stub: Any = hub_pb2_grpc.JoiningStub(channel)
        request = hub_pb2.JoinRequest(invite_secret=invitation.secret, application=application)
        response: hub_pb2.JoinResponse = await _asked(stub.Join, request)
        return response.certificate


async def _asked(method: Callable[..., Any], request: object, metadata: Sequence[tuple[str, str]] = ()) -> Any:
    try:
        return await method(request, timeout=wire.DEADLINE_SECONDS, metadata=metadata)
    except grpc.RpcError as problem:
        raise wire.from_rpc_error(problem) from None


class _Source:
    """Requests as gRPC reads them.

    What making one raises is kept: gRPC only cancels the call, and whoever reads the answers would take that for a
    cancellation of its own and end without a word.
    """

    def __init__(self, requests: AsyncIterable[Any]) -> None:
        self._requests = requests
        self._problem: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for request in self._requests:
                yield request
        except Exception as problem:
            self._problem = problem
            raise

    def check(self) -> None:
        """Raise what making a request raised, unless the caller is cancelled itself."""
        caller = asyncio.current_task()
        if self._problem is not None and not (caller and caller.cancelling()):
            raise self._problem


async def _streamed(call: Any, source: _Source | None = None) -> AsyncIterator[Any]:
    try:
        async for response in call:
            yield response
    except grpc.RpcError as problem:
        raise wire.from_rpc_error(problem) from None
    except asyncio.CancelledError:
        if source is not None:
            source.check()
        raise
    finally:
        call.cancel()
