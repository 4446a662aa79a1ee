"""``samprasan.v1.Hub`` and ``Joining``: gRPC methods of a few lines each around the steps; the caller is an agency."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from samprasan.edge import wire
from samprasan.edge.logs import get_logger
from samprasan.hub import limits
from samprasan.hub.accounts import opening, rekey, totals
from samprasan.hub.integrators import handle_token
from samprasan.hub.log import checkpoints, intake, recall
from samprasan.hub.members import dissent, documents, hello, joining, mailbox
from samprasan.hub.process import callers
from samprasan.hub.process.running import Running
from samprasan.hub.recovery import recovery
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.keys.signing import payload_type
from samprasan.v1 import hub_pb2, hub_pb2_grpc
from samprasan.v1.log_pb2 import Receipt

if TYPE_CHECKING:
    from samprasan.hub.accounts.reconciliation import Conversation

logger = get_logger("hub")
NEWS_WAIT_SECONDS = 30.0  # a stream looks for itself now and then, whatever the watcher says
RECONCILE_IDLE_SECONDS = 60.0  # a node reads its records meanwhile
RECONCILE_PAUSE_SECONDS = 0.02  # between messages of cells: the word that they are enough is on its way


class _Ahead(NamedTuple):
    """The answer to a batch, and what its sender keeps of the hub's own chain."""

    answer: "Future[intake.Answer]"
    own_seq: int = 0


class HubServicer(hub_pb2_grpc.HubServicer):
    """The methods of ``samprasan.v1.Hub``; the caller is always the agency of the certificate."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def Hello(self, request: hub_pb2.HelloRequest, context: Any) -> hub_pb2.HelloResponse:
        """See :func:`samprasan.hub.members.hello.answer_hello`."""
        running = self._running
        agency = await callers.agency_of(running, context, to_recover=True)
        return await running.write(hello.answer_hello, running.hub, agency, request)

    async def OpenAccounts(self, request: hub_pb2.OpenAccountsRequest, context: Any) -> hub_pb2.OpenAccountsResponse:
        """See :func:`samprasan.hub.accounts.opening.open_accounts`."""
        running = self._running
        agency = await callers.agency_of(running, context)
        opened = await running.write(opening.open_accounts, running.hub, agency, request)
        return hub_pb2.OpenAccountsResponse(accounts_opened=opened)

    async def Rekey(self, request: hub_pb2.RekeyRequest, context: Any) -> hub_pb2.RekeyResponse:
        """See :func:`samprasan.hub.accounts.rekey.rekey`."""
        running = self._running
        return await running.write(rekey.rekey, running.hub, await callers.agency_of(running, context), request)

    async def GetTotals(self, request: hub_pb2.GetTotalsRequest, context: Any) -> hub_pb2.GetTotalsResponse:
        """See :func:`samprasan.hub.accounts.totals.read_totals`."""
        running = self._running
        agency = await callers.agency_of(running, context)
        return hub_pb2.GetTotalsResponse(totals=await running.read(totals.read_totals, running.hub, agency, request))

    async def Push(self, request_iterator: Any, context: Any) -> AsyncIterator[hub_pb2.PushResponse]:
        """See :mod:`samprasan.hub.log.intake`.  Batches are read ahead; answers keep their order."""
        running = self._running
        agency = await callers.agency_of(running, context)
        with running.one_more_stream("Push", agency):
            ahead: asyncio.Queue[_Ahead | None] = asyncio.Queue(limits.PUSH_IN_FLIGHT_MAX)
            reader = asyncio.create_task(self._read_ahead(agency, request_iterator, ahead))
            kept = 0
            try:
                while (next_one := await ahead.get()) is not None:
                    response = _push_response(await asyncio.wrap_future(next_one.answer))
                    kept = max(kept, next_one.own_seq)
                    before = await running.read(recall.own_before, running.hub.db, response.receipt, kept)
                    response.own_seq, own = before
                    response.own.extend(own)
                    kept += len(own)
                    yield response
            finally:
                reader.cancel()

    async def _read_ahead(self, agency: str, requests: Any, ahead: "asyncio.Queue[_Ahead | None]") -> None:
        running = self._running
        try:
            async for request in requests:
                wire.warn_if_large(logger, "Push", request)
                submission = await running.read(intake.verify, running.hub, agency, request.batch)
                await ahead.put(_Ahead(running.sequencer.submit(submission), request.own_seq))
        except Exception as problem:  # told in its turn, behind the answers to what came before
            failed: Future[intake.Answer] = Future()
            failed.set_exception(problem)
            await ahead.put(_Ahead(failed))
        else:
            await ahead.put(None)

    async def PostMail(self, request: hub_pb2.PostMailRequest, context: Any) -> hub_pb2.PostMailResponse:
        """See :func:`samprasan.hub.members.mailbox.post_mail`."""
        running = self._running
        await running.write(mailbox.post_mail, running.hub, await callers.agency_of(running, context), request)
        running.ring()
        return hub_pb2.PostMailResponse()

    async def ReceiveMail(
        self, request: hub_pb2.ReceiveMailRequest, context: Any
    ) -> AsyncIterator[hub_pb2.ReceiveMailResponse]:
        """Mail as it comes, and a word when documents change; the first word comes at once."""
        running = self._running
        agency, number, documents_seen = await callers.agency_of(running, context), request.after, -1
        now = asyncio.get_running_loop().time
        next_word = now()
        with running.one_more_stream("ReceiveMail", agency):
            while not running.draining:
                bell, wait = running.news, NEWS_WAIT_SECONDS
                documents_changed = (await running.read(mailbox.news_numbers, running.hub.db))[1]
                if documents_changed != documents_seen and now() < next_word:
                    wait = next_word - now()
                elif documents_changed != documents_seen:
                    documents_seen, next_word = documents_changed, now() + limits.DOCUMENTS_NEWS_SECONDS
                    yield hub_pb2.ReceiveMailResponse(documents_changed=hub_pb2.DocumentsChanged())
                while mails := await running.read(mailbox.mail_after, running.hub.db, agency, number):
                    for mail in mails:
                        number = mail.number
                        yield hub_pb2.ReceiveMailResponse(mail=mail)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await bell.wait()

    async def AcknowledgeMail(
        self, request: hub_pb2.AcknowledgeMailRequest, context: Any
    ) -> hub_pb2.AcknowledgeMailResponse:
        """See :func:`samprasan.hub.members.mailbox.acknowledge_mail`."""
        running = self._running
        await running.write(
            mailbox.acknowledge_mail, running.hub.db, await callers.agency_of(running, context), request.number
        )
        return hub_pb2.AcknowledgeMailResponse()

    async def SubmitDocument(
        self, request: hub_pb2.SubmitDocumentRequest, context: Any
    ) -> hub_pb2.SubmitDocumentResponse:
        """See :func:`samprasan.hub.members.documents.submit_document`."""
        running = self._running
        agency = await callers.agency_of(running, context, to_recover=True)
        await running.write(documents.submit_document, running.hub, agency, request.document)
        running.ring()
        return hub_pb2.SubmitDocumentResponse()

    async def SubmitDissent(self, request: hub_pb2.SubmitDissentRequest, context: Any) -> hub_pb2.SubmitDissentResponse:
        """See :func:`samprasan.hub.members.dissent.submit_dissent`."""
        running = self._running
        agency = await callers.agency_of(running, context)
        over = await running.write(dissent.submit_dissent, running.hub, agency, request.dissent)
        running.ring()
        return hub_pb2.SubmitDissentResponse(over=over)

    async def ListDocuments(
        self, request: hub_pb2.ListDocumentsRequest, context: Any
    ) -> AsyncIterator[hub_pb2.ListDocumentsResponse]:
        """See :func:`samprasan.hub.members.documents.document_pages`."""
        running = self._running
        agency = await callers.agency_of(running, context, to_recover=True)
        with running.one_more_stream("ListDocuments", agency):
            for page in await running.read(documents.document_pages, running.hub.db):
                yield page

    async def Witness(self, request: hub_pb2.WitnessRequest, context: Any) -> hub_pb2.WitnessResponse:
        """See :func:`samprasan.hub.log.checkpoints.answer_question`."""
        running = self._running
        return await running.read(
            checkpoints.answer_question, running.hub.db, await callers.agency_of(running, context), request
        )

    async def Cosign(self, request: hub_pb2.CosignRequest, context: Any) -> hub_pb2.CosignResponse:
        """See :func:`samprasan.hub.log.checkpoints.accept_cosignature`."""
        running = self._running
        await running.write(
            checkpoints.accept_cosignature, running.hub, await callers.agency_of(running, context), request
        )
        return hub_pb2.CosignResponse()

    async def IssueToken(self, request: hub_pb2.IssueTokenRequest, context: Any) -> hub_pb2.IssueTokenResponse:
        """See :func:`samprasan.hub.integrators.handle_token.issue`."""
        running = self._running
        agency, secret = await callers.agency_of(running, context), running.showing.secret
        token = await running.read(handle_token.issue, running.hub, secret, agency, request)
        return hub_pb2.IssueTokenResponse(token=token)

    async def Reconcile(self, request_iterator: Any, context: Any) -> AsyncIterator[hub_pb2.ReconcileResponse]:
        """See :mod:`samprasan.hub.accounts.reconciliation`.  Cells go out until the next request comes."""
        from samprasan.hub.accounts import reconciliation  # what it counts with takes a while to load

        running = self._running
        agency = await callers.agency_of(running, context)
        if agency in running.reconciling:
            raise Refused("streams_over_limit", agency=agency, most=1)
        running.reconciling.add(agency)
        requests = wire.Requests(request_iterator)
        try:
            first = await requests.next(RECONCILE_IDLE_SECONDS)
            if first is None or not first.HasField("begin"):
                raise Malformed("request", limit=1)
            while await running.write(reconciliation.count_entries, running.hub.db):
                pass
            talk = await running.read(reconciliation.begin_conversation, running.hub, agency, first.begin)
            yield talk.begun()
            async for answer in self._answer(talk, requests):
                yield answer
        finally:
            running.reconciling.discard(agency)
            requests.close()

    async def _answer(self, talk: "Conversation", requests: wire.Requests) -> AsyncIterator[hub_pb2.ReconcileResponse]:
        """What the hub says once a reconciliation has begun."""
        from samprasan.hub.accounts import reconciliation

        running = self._running
        while not requests.ended:
            wait = RECONCILE_PAUSE_SECONDS if talk.sending else RECONCILE_IDLE_SECONDS
            request = await requests.next(wait)
            if request is None and not talk.sending:
                return  # the node has what it needs, or has been silent for too long
            if request is not None:
                talk.sending = request.HasField("more")
                if request.HasField("ask"):
                    yield talk.answer(request.ask)
                if request.HasField("verdict"):
                    await running.write(reconciliation.record_verdict, running.hub, talk, request.verdict)
            cells = await running.read(talk.cells) if talk.sending else None
            if cells is not None:
                yield cells
            elif talk.sending:
                return  # nobody may have more

    async def Recall(self, request: hub_pb2.RecallRequest, context: Any) -> AsyncIterator[hub_pb2.RecallResponse]:
        """See :mod:`samprasan.hub.log.recall`."""
        running = self._running
        agency = await callers.agency_of(running, context, to_recover=True)
        after = request.after_seq
        with running.one_more_stream("Recall", agency):
            while entries := await running.read(recall.recalled, running.hub.db, agency, request.own, after):
                for entry in entries:
                    yield hub_pb2.RecallResponse(entry=entry)
                after += len(entries)

    async def Refeed(self, request_iterator: Any, context: Any) -> hub_pb2.RefeedResponse:
        """See :mod:`samprasan.hub.recovery.recovery`."""
        running = self._running
        agency = await callers.agency_of(running, context, to_recover=True)
        if agency in running.refeeding:
            raise Refused("streams_over_limit", agency=agency, most=1)
        running.refeeding.add(agency)
        try:
            taken, size = 0, 0
            some: list[hub_pb2.RefeedRequest] = []
            async for request in request_iterator:
                some.append(request)
                size += request.ByteSize()
                if size >= limits.REFED_BYTES_AT_ONCE:
                    taken += await running.write(recovery.accept_returned, running.hub, agency, some)
                    some, size = [], 0
            taken += await running.write(recovery.accept_returned, running.hub, agency, some)
            await running.write(recovery.advance_recovery, running.hub)
            return hub_pb2.RefeedResponse(taken=taken)
        finally:
            running.refeeding.discard(agency)


class JoiningServicer(hub_pb2_grpc.JoiningServicer):
    """The methods of ``samprasan.v1.Joining``: the caller has no certificate yet, only an invite."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def Join(self, request: hub_pb2.JoinRequest, context: Any) -> hub_pb2.JoinResponse:
        """See :func:`samprasan.hub.members.joining.join`; the last agency to join brings roster 1 into every inbox."""
        running = self._running
        application = await running.read(joining.examine, running.hub, request)
        certificate = await running.write(joining.join, running.hub, running.authority, request, application)
        await running.write(documents.compose_roster, running.hub, running.authority.certificate)
        running.ring()
        return hub_pb2.JoinResponse(certificate=certificate)


def _push_response(answer: intake.Answer) -> hub_pb2.PushResponse:
    if isinstance(answer, SamprasanError):
        raise answer
    if answer.payload_type == payload_type(Receipt):
        return hub_pb2.PushResponse(receipt=answer)
    return hub_pb2.PushResponse(refusal=answer)
