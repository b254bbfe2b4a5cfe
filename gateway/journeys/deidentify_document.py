"""De-identifying one document of a case: text cleaned, pages and pictures made anew, or held with the reason."""

from __future__ import annotations

from collections.abc import Callable

from anonymizer.known import Known
from gateway.domain.document import Document
from gateway.journeys import sandboxed
from gateway.journeys.deidentify_study import learn
from gateway.journeys.make_copy import known_of, pseudonym_key, record_copy
from gateway.journeys.read_original import read_original
from gateway.journeys.rules_in_force import rules_in_force
from gateway.journeys.sandboxed import Cleaned, Held
from gateway.ports import Clock, Records, Sandbox
from storage import SealedRef, SealedStore

LIMIT_BYTES = 256 << 20


def deidentify_document(
    document_id: str,
    *,
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    clock: Clock,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Make the copy of a received document; one that was dealt with already is left alone."""
    with records.view() as view:
        document = view.documents.get(document_id)
        case = view.cases.get(document.case_id)
        key = view.key(case.id, "originals")
        own_key = view.key(document.holder, "originals")
    if document.state != "received" or not document.object_id:
        return
    beat()
    content: bytes | Held
    if document.size_bytes > LIMIT_BYTES:
        content = Held(
            code="too_large", reason="The document is too large to be cleaned. Ask for it in smaller parts."
        )
    else:
        content = read_original(original_ref(document), key=own_key, store=store)
    told = content if isinstance(content, Held) else sandboxed.harvest_document(sandbox, content)
    if isinstance(told, Known):
        learn(case, [told], records=records, clock=clock)
    with records.view() as view:
        case, rules = view.cases.get(case.id), rules_in_force(view, case.id)  # a human may have judged a word
    known = known_of(case)
    beat()
    outcome: Cleaned | Held
    if isinstance(content, Held):
        outcome = content
    elif isinstance(told, Held):
        outcome = told
    else:
        outcome = sandboxed.clean_document(
            sandbox,
            content,
            media_type=document.media_type,
            known=known,
            key=pseudonym_key(store, key),
            profile=case.profile,
        )
    made_type = (
        document.media_type
        if isinstance(outcome, Held)
        else str(outcome.index.get("media_type", document.media_type))
    )
    record_copy(
        outcome,
        case=case,
        known=known,
        subject_kind="document",
        subject_id=document.id,
        media_type=made_type,
        original_uids=(),
        records=records,
        store=store,
        sandbox=sandbox,
        now=clock.now(),
        rules=rules,
    )


def original_ref(document: Document) -> SealedRef:
    """Return where a document's sealed bytes lie."""
    return SealedRef(
        object_id=document.object_id,
        size_bytes=document.size_bytes,
        digest=document.digest,
        generation=document.generation,
    )
