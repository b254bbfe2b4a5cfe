"""Chapter 5 of the conformance statement: how each service behaves (PS3.2 N.5)."""

from __future__ import annotations

from dicom_node import commitment, stow
from dicom_node.conformance.facts import Facts, size
from dicom_node.conformance.writing import Section, Table


def services(facts: Facts) -> list[Section]:
    """What a peer can rely on, service by service."""
    reasons = Table(
        title="Table 5-1. Failure Reason (0008,1197) in a report of storage commitment",
        columns=("Reason", "Meaning here"),
        rows=facts.commitment.failures,
    )
    media = Table(
        title="Table 5-2. Store Instances: addresses and media types",
        columns=("What", "Value"),
        rows=(
            (
                "Addresses",
                (
                    f"POST `{facts.web_base}/studies`, `…/studies/{{study}}`, "
                    f"`{facts.web_base}/cases/{{case}}/studies`, `…/studies/{{study}}`"
                ),
            ),
            ("Capabilities", "OPTIONS on the same addresses"),
            ("Taken", f'`{stow.RELATED}; type="{stow.DICOM}"`, or one object as `{stow.DICOM}`'),
            (
                "Not taken",
                "metadata with bulk data, `Content-Encoding`, transfer encodings other than binary",
            ),
            (
                "Answered",
                f"`{stow.DICOM_JSON}` (also as `{stow.JSON}`), `{stow.DICOM_XML}`, by the Accept header",
            ),
            (
                "Limits",
                f"{size(facts.max_instance_bytes)} per object; requests beyond those served at a time are told to wait",
            ),
        ),
    )
    return [
        Section("5", "Service and interoperability description"),
        Section(
            "5.1",
            "Mapping of services to application entities",
            ("All services belong to the one AE of 4.1.1.",),
        ),
        Section("5.2", "DIMSE services"),
        Section(
            "5.2.1",
            "Verification",
            (
                "As SCP for every peer that may be echoed from. As SCU on demand; the outcome is shown step by step.",
            ),
        ),
        Section(
            "5.2.2",
            "Storage",
            (
                (
                    "SCP: conforms at Level 2 (Full); all attributes, private ones too, are kept as received, bit by bit, so that "
                    "digital signatures stay valid. The object begins to be encrypted while it arrives; its size is limited by "
                    f"{size(facts.max_instance_bytes)} and a peer's own limit, not by memory."
                ),
                (
                    "The same instance again is answered with Success and kept once. The same SOP Instance UID with other bytes "
                    "is kept beside the first, marked as a conflict for a coordinator, and answered with Success; nothing is "
                    "overwritten. A study is taken to be complete after a quiet period; what comes later reopens it visibly."
                ),
                "An object that breaks off is discarded whole; what was answered before stays.",
                (
                    f"SCU: {facts.delivery.tries}. One presentation context is proposed for each pair of SOP class and "
                    "transfer syntax; what the peer does not accept is not sent, and told by name."
                ),
            ),
        ),
        Section(
            "5.2.3",
            "Storage Commitment",
            (
                (
                    "SCP of the Push Model for originals that the asking peer itself sent (PS3.4 Annex J). The request is "
                    f"recorded before N-ACTION is answered; at most {commitment.MAX_REFERENCES:,} references are taken in "
                    "one request. Each referenced object is read back from the disk, decrypted and compared with its digest "
                    "before Event Type 1 is reported."
                ),
                (
                    f"An instance that is not here may still be on its way: {facts.commitment.missing_wait}. The report goes "
                    "out on the association of the request while that is open and silent, else on a new one, where the SCP "
                    f"role is proposed (PS3.7 D.3.3.4); {facts.commitment.reports}, for {facts.commitment.report_for}, over "
                    "restarts too. Each report names the complete set. Retrieve AE Title is not sent."
                ),
                reasons,
            ),
        ),
        Section(
            "5.2.4",
            "Services that are refused",
            (
                (
                    "Presentation contexts of every other SOP class are answered with result 3 (abstract syntax not "
                    "supported). There is no query and no retrieval of what was sent in."
                ),
            ),
        ),
        Section("5.3", "DICOM web services"),
        Section(
            "5.3.1",
            "Studies service: Store Instances",
            (
                (
                    "Origin server of the Store transaction (PS3.18 10.5). Instances go the same way as by C-STORE, one by one as "
                    "they arrive; each has its own result. WADO-RS and QIDO-RS are not offered, so Retrieve URLs are empty."
                ),
                media,
            )
            if facts.web_base
            else ("Not offered by this configuration.",),
        ),
        Section("5.4", "Media services", ("See 1.4.",)),
        Section("5.5", "Real-Time Video services", ("Not supported.",)),
        Section(
            "5.6",
            "Cross-service considerations",
            (
                (
                    "Originals are never coerced. Copies that leave carry new UIDs, the same for the same original within a "
                    "case, so that references between them hold. Whether an instance came by C-STORE, by STOW-RS or on a disc "
                    "makes no difference to what follows."
                ),
            ),
        ),
        Section(
            "5.7",
            "Specific character sets",
            (
                "Originals keep their bytes and their declaration, right or wrong. For matching and display these "
                "terms are decoded, with code extensions of ISO 2022 and several values: "
                + ", ".join(f"`{one}`" for one in facts.character_sets)
                + ". Copies are written in `ISO_IR 192` throughout, sequences included.",
            ),
        ),
    ]
