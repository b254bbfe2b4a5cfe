"""Chapters 1 to 4 of the conformance statement: what is supported, for whom it is written, and how it works (PS3.2 N.1 to N.4)."""

from __future__ import annotations

from dicom_node import commitment, contexts
from dicom_node.conformance.facts import NO, YES, Facts, in_order, is_retired, uid_name
from dicom_node.conformance.writing import Section, Table


def overview(facts: Facts) -> list[Section]:
    """Chapters 1 and 2."""
    columns = ("SOP Class", "UID", "User (SCU)", "Provider (SCP)")
    dimse = Table(
        title="Table 1-1. DIMSE services",
        columns=("Service", "User (SCU)", "Provider (SCP)", "UID"),
        rows=(
            ("Verification", YES, YES, f"`{contexts.VERIFICATION}`"),
            ("Storage (the classes of Tables 1-3 and 1-4)", YES, YES, "see there"),
            ("Storage Commitment Push Model", NO, YES, f"`{commitment.SOP_CLASS}`"),
            ("Query/Retrieve, Worklist, MPPS, UPS, IAN, Print", NO, NO, ""),
        ),
    )
    web = Table(
        title="Table 1-2. DICOM web services",
        columns=("Service", "Transaction", "User agent", "Origin server"),
        rows=(
            ("Studies", "Store Instances (STOW-RS)", NO, YES if facts.web_base else NO),
            ("Studies", "Retrieve (WADO-RS), Search (QIDO-RS)", NO, NO),
            ("URI, Worklist, Non-Patient Instance, Storage Commitment", "all", NO, NO),
        ),
    )
    current = Table(
        title="Table 1-3. Storage SOP classes", columns=columns, rows=_storage_rows(retired=False)
    )
    retired = Table(
        title="Table 1-4. Retired Storage SOP classes, taken all the same",
        columns=columns,
        rows=_storage_rows(retired=True),
    )
    profiles = Table(
        title="Table 1-5. Attribute Confidentiality Profiles (PS3.15 Annex E)",
        columns=("Profile of the exchange", "Codes of CID 7050", "What it means"),
        rows=tuple(
            (one.name, "; ".join(f"{value} {meaning}" for value, meaning in one.codes), one.summary)
            for one in facts.deidentification
        ),
    )
    return [
        Section(
            "1",
            "Overview",
            (
                (
                    f"{facts.product} receives studies from hospitals for second opinions, keeps them encrypted and unchanged, "
                    "and hands de-identified copies to the specialists who were asked. It answers no query and gives no "
                    "original out over DICOM."
                ),
                (
                    "An instance is answered with Success (0000H) only when it is encrypted, flushed to the disk and recorded: "
                    "after that the sender may delete its own. Nothing is transcoded, coerced or merged on receipt."
                ),
            ),
        ),
        Section(
            "1.1",
            "Content and transfer",
            (
                (
                    "Every Storage SOP class of PS3.4 is taken, in every transfer syntax of Table 7-2. As SCU, copies of what "
                    "was received are sent in the transfer syntax in which they are kept. No SOP class is displayed for "
                    "diagnosis."
                ),
                (
                    "Beside them are taken: classes registered under `1.2.840.10008.5.1.4.1.1.` since this version was made, "
                    "classes that the sender declares as Storage by SOP Class Common Extended Negotiation (PS3.7 D.3.3.6), and "
                    "vendors' private classes. What de-identification does not know is never released by itself."
                ),
                current,
                retired,
            ),
        ),
        Section("1.2", "DIMSE services", (dimse,)),
        Section("1.3", "DICOM web services", (web,)),
        Section(
            "1.4",
            "Media services",
            (
                (
                    "File-sets are read when patients upload them (discs, folders, archives): objects are found by content, "
                    "the DICOMDIR is not relied upon. A release is offered as a ZIP archive that holds a File-set with a "
                    "DICOMDIR made anew (PS3.10 8, PS3.3 Annex F). No physical medium is written."
                ),
            ),
        ),
        Section("1.5", "Real-Time Video services", ("Not supported.",)),
        Section(
            "1.6",
            "De-identification profiles",
            (
                (
                    f"Copies are de-identified by the product itself, by {facts.deidentification[0].edition}. Patient Identity "
                    "Removed (0012,0062), De-identification Method (0012,0063) and its Code Sequence (0012,0064) say how."
                ),
                profiles,
            ),
        ),
        Section("1.7", "Specific character sets", ("See 5.7.",)),
        Section("2", "Table of contents"),
    ]


def introduction(facts: Facts) -> list[Section]:
    """Chapter 3."""
    return [
        Section("3", "Introduction"),
        Section(
            "3.1",
            "Revision history",
            (
                f"This statement belongs to version {facts.version} and is made anew for each: {facts.issued}.",
            ),
        ),
        Section(
            "3.2",
            "Audience",
            (
                (
                    "Those who connect a PACS, a modality or a router to the exchange: PACS administrators, integration "
                    "engineers, and those who answer for information security. Knowledge of DICOM is assumed."
                ),
            ),
        ),
        Section(
            "3.3",
            "Remarks",
            (
                (
                    "Conformance says what two systems can exchange; it does not replace a test of the connection. "
                    "`consilium peer echo` and a study of a test patient are that test."
                ),
            ),
        ),
        Section(
            "3.4",
            "Terms and definitions",
            (
                (
                    "Those of PS3.3 to PS3.8, PS3.10, PS3.15 and PS3.18. Peer: a known application entity with the addresses, "
                    "certificates and permissions that an operator gave it. Case: one request for a second opinion."
                ),
            ),
        ),
        Section(
            "3.5",
            "Abbreviations",
            (
                (
                    "AE application entity; ARTIM association request/reject/release timer; DIMSE DICOM message service "
                    "element; PDU protocol data unit; SCP, SCU service class provider and user; SOP service-object pair; TLS "
                    "transport layer security; UID unique identifier."
                ),
            ),
        ),
        Section("3.6", "References", ("DICOM PS3, https://dicom.nema.org/medical/dicom/current/output/",)),
    ]


def model(facts: Facts) -> list[Section]:
    """Chapter 4."""
    flow = Table(
        title="Table 4-1. Application entities and data flow",
        columns=("Activity", "Direction", "Service", "Begun by"),
        rows=(
            ("Be verified", "peer to exchange", "C-ECHO", "the peer"),
            ("Receive instances", "peer to exchange", "C-STORE, STOW-RS", "the peer"),
            ("Commit to instances", "peer to exchange", "N-ACTION", "the peer"),
            ("Report a commitment", "exchange to peer", "N-EVENT-REPORT", "the decision, see 5.2.3"),
            ("Verify a peer", "exchange to peer", "C-ECHO", "a coordinator or an operator"),
            ("Send a release", "exchange to peer", "C-STORE", "a coordinator, once the release is approved"),
        ),
    )
    return [
        Section("4", "Implementation model"),
        Section("4.1", "Application entities and data flow", (flow,)),
        Section(
            "4.1.1",
            f"Functional definition of the application entity {facts.ae_title}",
            (
                (
                    f"One AE answers to the title `{facts.ae_title}` and to {facts.case_titles}. What comes under a case's "
                    "title belongs to that case; what comes under the house's is matched by identifiers with a score, and waits "
                    "for a coordinator where that is not certain. The same AE, under its own title, calls peers."
                ),
                (
                    "Studies are kept apart by sender and case: a Study Instance UID or Patient ID that two hospitals use is "
                    "never merged."
                ),
            ),
        ),
    ]


def _storage_rows(*, retired: bool) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (uid_name(uid), f"`{uid}`", YES, YES)
        for uid in in_order(contexts.STORAGE_SOP_CLASSES)
        if is_retired(uid) is retired
    )
