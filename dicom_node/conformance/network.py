"""Chapters 6 and 7 of the conformance statement: configuration, associations, presentation contexts, statuses (PS3.2 N.6, N.7)."""

from __future__ import annotations

from dicom_node import commitment, contexts, status, stow
from dicom_node.ae import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.conformance.facts import Facts, in_order, is_retired, size, uid_name
from dicom_node.conformance.writing import Section, Table
from dicom_node.meanings import REJECTIONS, STATUSES
from dicom_node.negotiation import (
    ABSTRACT_NOT_SUPPORTED,
    ACCEPTED,
    TRANSFER_NOT_SUPPORTED,
    USER_REJECTION,
)

# Beside `meanings.STATUSES`, which the onboarding sheet prints too.
_PROCESSING = (
    f"{status.CANNOT_UNDERSTAND + 1:04X}",
    "Error: Cannot understand",
    "Processing failed here.",
    "Send again.",
)
COMMIT_STATUSES: tuple[tuple[int, str], ...] = (
    (status.SUCCESS, "The request is recorded; a report will come."),
    (status.PROCESSING_FAILURE, "Processing failure at the receiver."),
    (status.NO_SUCH_INSTANCE, f"Requested SOP Instance UID is not `{commitment.SOP_INSTANCE}`."),
    (status.INVALID_ARGUMENT, "Action Information is missing, malformed, or names no instance."),
    (status.NO_SUCH_SOP_CLASS, "Not the Storage Commitment Push Model, or not in a context of it."),
    (status.NO_SUCH_ACTION, "Action Type ID is not 1."),
    (status.DUPLICATE_TRANSACTION, "The Transaction UID was used for another request."),
    (
        status.RESOURCE_LIMITATION,
        "Too many references, too many open requests, or unavailable. Ask again later.",
    ),
)
ABORTS: tuple[tuple[str, str], ...] = (
    (
        "0, 0",
        "A message that the service does not allow here; an object beyond its size limit; the exchange stops.",
    ),
    ("2, 0", "A deadline passed: ARTIM, idle time, or the least pace of an object."),
    ("2, 1", "A PDU of an unknown type."),
    ("2, 2", "A PDU that is not expected in this state."),
    ("2, 6", "A PDU with an invalid parameter, or larger than announced."),
)
STOW_STATUSES: tuple[tuple[str, str], ...] = (
    ("200", "Every instance is kept."),
    ("202", "Some are kept, others not, or with a warning: the body tells which and why."),
    ("400", "No part in the body, or a header or body that cannot be understood."),
    (
        "401, 403, 404",
        "No or another token; a peer that may not store; an address that names no case that takes studies.",
    ),
    ("406, 415", "An answer or a body of another media type."),
    ("408", "The body came too slowly."),
    ("409", "No instance is kept, for reasons in the body."),
    ("413, 507, 503", "Nothing is kept: too large; no room; unavailable, with `Retry-After`."),
)
STOW_REASONS: tuple[tuple[int, str], ...] = (
    (stow.PROCESSING_FAILURE, "The rest of the body was not read, or processing failed."),
    (status.SOP_CLASS_NOT_SUPPORTED, "The SOP class is not taken from this sender."),
    (status.NOT_AUTHORISED, "This sender may not store there."),
    (status.OUT_OF_RESOURCES, "No room, over a limit, or unavailable."),
    (status.DATA_SET_DOES_NOT_MATCH, "SOP Class or SOP Instance UID in the data set differs from File Meta."),
    (stow.OTHER_STUDY, "The instance belongs to another study than the address names."),
    (status.CANNOT_UNDERSTAND, "Not DICOM, unreadable, or a UID missing or malformed."),
    (stow.TRANSFER_SYNTAX_NOT_SUPPORTED, "The transfer syntax is not taken."),
)


def configuration(facts: Facts) -> list[Section]:
    """Chapter 6: what an operator may set, with the values that count now."""
    columns = ("Parameter", "Value", "Meaning")
    return [
        Section("6", "Configuration"),
        Section(
            "6.1",
            "General configuration parameters",
            (Table(title="Table 6-1. The house", columns=columns, rows=facts.settings),),
        ),
        Section(
            "6.2",
            "Configuration of DIMSE services",
            (
                (
                    "Every peer is set up by name; nobody else is served. A change counts for the next association at once, and "
                    "ends associations that are not admitted any more within about a second."
                ),
                Table(
                    title="Table 6-2. A peer",
                    columns=("Parameter", "Default", "Meaning"),
                    rows=facts.peer_settings,
                ),
            ),
        ),
        Section(
            "6.3", "Configuration of DICOM web services", ("The peer's token and permissions, Table 6-2.",)
        ),
        Section("6.4", "Configuration of media services", ("None.",)),
        Section("6.5", "Configuration of Real-Time Video services", ("None.",)),
        Section("6.6", "Configuration of audit trail messages", ("See 8.4.",)),
    ]


def communication(facts: Facts) -> list[Section]:
    """Chapter 7: associations, presentation contexts, statuses."""
    limits = facts.limits
    general = Table(
        title="Table 7-1. Associations",
        columns=("Parameter", "Value"),
        rows=(
            ("Application Context Name", f"`{contexts.APPLICATION_CONTEXT}`"),
            ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
            ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
            ("Maximum PDU length offered", f"{size(limits.max_pdu_bytes)}; any of the peer's is kept, 0 too"),
            ("Associations accepted at a time", f"{limits.max_associations}"),
            ("… from one address", f"{limits.max_associations_per_address}"),
            ("… of one calling AE title, over all addresses", "as set for that peer"),
            (
                "Connections without an association",
                f"{limits.max_pending}; {limits.max_pending_per_address} of one address; the oldest yields",
            ),
            ("Asynchronous operations", "1 invoked, 1 performed; answered so when proposed"),
            (
                "ARTIM, and any PDU begun",
                f"{limits.artim_s:g} s and its length at {limits.min_bytes_per_s} bytes/s",
            ),
            ("Idle time between PDUs", f"{limits.idle_s:g} s; only waiting for the peer counts"),
            ("TLS handshake", f"{limits.handshake_s:g} s"),
            (
                "A-ASSOCIATE-RQ",
                f"{size(limits.max_request_bytes)} and {limits.max_request_items} items at most",
            ),
            (
                "Command set",
                f"{size(limits.max_command_bytes)} in {limits.max_fragments} fragments at most; as many empty fragments",
            ),
            (
                "Largest object",
                (
                    f"{size(min(facts.max_instance_bytes, limits.max_instance_bytes))}; of a refused one up to "
                    f"{size(limits.drain_bytes)} are read on, so that its status can be answered"
                ),
            ),
            ("Role selection", "SCU accepted; SCP is proposed by us for storage commitment reports"),
            ("SOP Class Common Extended Negotiation", "read: classes declared as Storage are taken"),
            (
                "User identity",
                "not looked at, not answered" if limits.user_identity == "ignore" else "refused",
            ),
            ("Internet protocol", "IPv4 and IPv6"),
        ),
    )
    both = f"{uid_name(contexts.EXPLICIT_LITTLE)}, {uid_name(contexts.IMPLICIT_LITTLE)}"
    accepted = Table(
        title="Table 7-3. Presentation contexts accepted",
        columns=("Abstract syntax", "Transfer syntax", "Role", "Extended negotiation"),
        rows=(
            ("Verification", "any of Table 7-2", "SCP", "none"),
            (
                "Every class of Tables 1-3 and 1-4, and others of 1.1",
                "any of Table 7-2",
                "SCP",
                "Common, see Table 7-1",
            ),
            ("Storage Commitment Push Model", both, "SCP", "none"),
        ),
    )
    proposed = Table(
        title="Table 7-4. Presentation contexts proposed",
        columns=("Activity", "Abstract syntax", "Transfer syntax", "Role"),
        rows=(
            ("Verify a peer", "Verification", uid_name(contexts.IMPLICIT_LITTLE), "SCU"),
            ("Send a release", "those of the copies", "the one of each copy, one context each", "SCU"),
            ("Report a commitment", "Storage Commitment Push Model", both, "SCP, by role selection"),
        ),
    )
    results = Table(
        title="Table 7-5. Result of a presentation context",
        columns=("Result", "When"),
        rows=(
            (
                str(ACCEPTED),
                "accepted, in the first of the sender's transfer syntaxes that is known: nothing is transcoded",
            ),
            (str(USER_REJECTION), "this peer may not use this class, or does not take the role of SCU"),
            (str(ABSTRACT_NOT_SUPPORTED), "the SOP class is not supported"),
            (str(TRANSFER_NOT_SUPPORTED), "no transfer syntax proposed is supported"),
        ),
    )
    return [
        Section("7", "Network and media communication details"),
        Section("7.1", "General", (general,)),
        Section(
            "7.1.1",
            "Transfer syntaxes",
            (
                (
                    "All of PS3.5 and PS3.6 whose data sets carry their content, retired ones included. JPIP references are "
                    "not taken, for what they refer to is not there."
                ),
                Table(
                    title="Table 7-2. Transfer syntaxes",
                    columns=("Name", "UID", "Status"),
                    rows=_transfer_syntax_rows(),
                ),
            ),
        ),
        Section("7.2", f"Specification of the application entity {facts.ae_title}"),
        Section("7.2.1", "Association acceptance", (accepted, results, _rejections(), _aborts())),
        Section(
            "7.2.2",
            "Association initiation",
            (
                (
                    "One association at a time for each activity, to the address of the peer's row, as the house's AE title; a "
                    "commitment is reported as the title that the peer had called."
                ),
                proposed,
            ),
        ),
        Section("7.3", "Status codes"),
        Section(
            "7.3.1",
            "DIMSE services as SCP",
            (
                (
                    "C-ECHO is answered with 0000H. Where an operation fails, Error Comment (0000,0902) says why in at most "
                    f"{status.COMMENT_LIMIT} characters, never with a value of the data set."
                ),
                _store_statuses(),
                Table(
                    title="Table 7-9. C-STORE: Error Comments of the exchange",
                    columns=("Status", "Error Comment"),
                    rows=tuple((f"{code:04X}", comment) for code, comment in facts.refusals),
                ),
                _statuses("Table 7-10. N-ACTION", COMMIT_STATUSES),
            ),
        ),
        Section(
            "7.3.2",
            "DIMSE services as SCU",
            (
                (
                    "What a peer's C-STORE status means to a release that is sent to it; others count as refused. For "
                    "N-EVENT-REPORT, 0000H and the warnings of PS3.7 Annex C.4 end the transaction, all else is tried again."
                ),
                Table(
                    title="Table 7-11. C-STORE statuses of peers",
                    columns=("Status", "Meaning here"),
                    rows=facts.delivery.statuses,
                ),
            ),
        ),
        Section(
            "7.3.3",
            "DICOM web services",
            (
                Table(
                    title="Table 7-12. Store Instances: HTTP statuses",
                    columns=("Status", "When"),
                    rows=STOW_STATUSES,
                ),
                _statuses("Table 7-13. Store Instances: Failure Reason (0008,1197)", STOW_REASONS),
            )
            if facts.web_base
            else ("Not offered by this configuration.",),
        ),
    ]


def _statuses(title: str, rows: tuple[tuple[int, str], ...]) -> Table:
    return Table(
        title=title, columns=("Status", "Meaning"), rows=tuple((f"{code:04X}", words) for code, words in rows)
    )


def _store_statuses() -> Table:
    rows = tuple((f"{code:04X}", one.name, one.why, one.helps) for code, one in STATUSES.items())
    return Table(
        title="Table 7-8. C-STORE",
        columns=("Status", "Name", "When", "What helps"),
        rows=(*rows, _PROCESSING),
    )


def _rejections() -> Table:
    return Table(
        title="Table 7-6. A-ASSOCIATE-RJ",
        columns=("Result, source, reason", "Name", "When", "What helps"),
        rows=tuple(
            (", ".join(map(str, triple)), meaning.name, meaning.why, meaning.helps)
            for triple, meaning in sorted(REJECTIONS.items())
        ),
    )


def _aborts() -> Table:
    return Table(title="Table 7-7. A-ABORT", columns=("Source, reason", "When"), rows=ABORTS)


def _transfer_syntax_rows() -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            uid_name(uid) if uid != contexts.GE_PRIVATE_IMPLICIT else "GE Private Implicit VR Little Endian",
            f"`{uid}`",
            "retired"
            if is_retired(uid)
            else "private"
            if not uid.startswith("1.2.840.10008.")
            else "current",
        )
        for uid in in_order(contexts.TRANSFER_SYNTAXES)
    )
