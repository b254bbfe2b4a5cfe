"""Chapter 8 and the annexes of the conformance statement: security, objects made, private classes, codes (PS3.2 N.8, N.A)."""

from __future__ import annotations

from dicom_node.conformance.facts import NO, YES, Facts
from dicom_node.conformance.writing import Section, Table
from dicom_node.tls import PROFILES, STANDARD_PORT

_PROFILE_NAMES = {
    "b12": "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)",
    "b13": "Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.13)",
}


def security(facts: Facts) -> list[Section]:
    """Chapter 8."""
    ports = Table(
        title="Table 8-1. TCP ports",
        columns=("Port", "Use", "Direction"),
        rows=(
            (facts.tls_address or f"none (usual: {STANDARD_PORT})", "DICOM over TLS", "in"),
            (facts.plain_address or "none", "DICOM without TLS", "in"),
            (facts.web_base or "none", "DICOM web services, behind a proxy that speaks TLS", "in"),
            ("of each peer's row", "C-ECHO, C-STORE, N-EVENT-REPORT", "out"),
        ),
    )
    suites = ", ".join(
        f"`{one}`" for one in PROFILES[facts.tls_profile].split(":") if not one.startswith("@")
    )
    other = next(name for key, name in _PROFILE_NAMES.items() if key != facts.tls_profile)
    tls = Table(
        title="Table 8-2. Secure transport",
        columns=("Parameter", "Value"),
        rows=(
            ("Profile", f"{_PROFILE_NAMES[facts.tls_profile]}; to be chosen instead: {other}"),
            (
                "In this configuration",
                f"listening at {facts.tls_address}" if facts.tls_address else "not listening by TLS",
            ),
            ("Versions", "TLS 1.3 and 1.2, nothing older"),
            ("Suites of TLS 1.2, in our order", suites),
            ("Suites of TLS 1.3", "all are AEAD with ephemeral keys; those of the library"),
            (
                "Authentication",
                "mutual, always; keys of at least 2048 bits (RSA) or the like, no SHA-1 signature",
            ),
            (
                "Trust",
                "a peer's own certificate, pinned by its public key, or an authority with a name in the certificate",
            ),
            ("Revocation", "lists, where the operator sets them up"),
            ("Not offered", "renegotiation, compression, session tickets, early data"),
        ),
    )
    return [
        Section("8", "Security"),
        Section(
            "8.1",
            "Introduction",
            (
                (
                    "A peer is its calling AE title, its address and its certificate together; each alone can be forged. What "
                    "is wrong of them is told to the audit, not to the caller. Unknown callers are refused before any "
                    "presentation context is looked at."
                ),
            ),
        ),
        Section(
            "8.2",
            "External network requirements",
            ("None but the peers' addresses; names are resolved by the system.",),
        ),
        Section("8.3", "TCP port configuration", (ports,)),
        Section(
            "8.4",
            "DICOM security profiles",
            (
                tls,
                Table(
                    title="Table 8-3. Other profiles of PS3.15",
                    columns=("Profile", "Supported", "Remark"),
                    rows=(
                        ("Secure Use (Annex A.1 to A.4)", NO, "originals are kept bit by bit all the same"),
                        (
                            "Audit Trail Message Format and Transmission (A.5 to A.7)",
                            NO,
                            "own hash-linked, signed trail, see 8.7",
                        ),
                        (
                            "Digital Signatures (Annex C)",
                            NO,
                            "not made, not verified; those in originals stay valid",
                        ),
                        ("Media Storage Security (Annex D)", NO, ""),
                        ("Attribute Confidentiality (Annex E)", YES, "for every copy that leaves, Table 1-5"),
                        ("Network Address and Time Management (F, G)", NO, "the system's own"),
                    ),
                ),
            ),
        ),
        Section(
            "8.5",
            "User identity negotiation",
            ("Neither proposed nor relied upon; see Table 7-1.",),
        ),
        Section(
            "8.6",
            "Web services security",
            (
                (
                    "A bearer token (RFC 6750) for each peer, of 256 bits, kept as a digest only, together with the "
                    "peer's addresses. TLS is the proxy's before the web doors."
                ),
            )
            if facts.web_base
            else ("No DICOM web service is offered.",),
        ),
        Section(
            "8.7",
            "Other security features",
            (
                (
                    "Everything received is encrypted before it touches the disk, each case under keys of its own. Who sent, "
                    "saw, released or refused what is a hash-linked trail with signed heads. Sizes, times and rates of every "
                    "connection are bounded before a peer is known."
                ),
            ),
        ),
    ]


def annexes(facts: Facts) -> list[Section]:
    """The annexes that apply: objects made, private and extended classes, mappings, codes."""
    return [
        Section(
            "A.A",
            "Information object definitions",
            (
                (
                    "No image object is created. Copies of received instances are written with the attributes of their "
                    "original as the profile of Table 1-5 leaves them: in Explicit VR Little Endian where the pixels were not "
                    "compressed, else in the original's transfer syntax. A Basic Directory (`1.2.840.10008.1.3.10`) is made "
                    "for each release."
                ),
            ),
        ),
        Section("A.B", "Structured report content encoding", ("None is created.",)),
        Section("A.C", "Security details", ("See chapter 8.",)),
        Section(
            "A.D",
            "Standard extended, specialised and private SOP classes; private attributes",
            (
                (
                    "No private SOP class, transfer syntax or attribute is defined. Private classes and attributes of senders "
                    "are kept in originals. In copies, private attributes are removed unless they are known to be safe by "
                    "PS3.15 E.3.10 or the product's list."
                ),
            ),
        ),
        Section(
            "A.E",
            "Code set usage",
            ("CID 7050 (DCM) in De-identification Method Code Sequence; see Table 1-5.",),
        ),
    ]
