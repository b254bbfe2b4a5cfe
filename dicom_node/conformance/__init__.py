"""The DICOM conformance statement of this node (PS3.2 Annex N), made from the tables and limits that it runs by.

Nothing is stated twice: a SOP class, a transfer syntax, a limit, a status is read from where the node itself reads it.
"""

from __future__ import annotations

from collections.abc import Callable

from dicom_node.conformance import network, overview, security, services
from dicom_node.conformance.facts import (
    CommitmentFacts,
    DeidentificationFacts,
    DeliveryFacts,
    Facts,
    size,
)
from dicom_node.conformance.writing import Section, Statement

__all__ = [
    "CommitmentFacts",
    "DeidentificationFacts",
    "DeliveryFacts",
    "Facts",
    "Statement",
    "size",
    "statement",
]

_CHAPTERS: tuple[Callable[[Facts], list[Section]], ...] = (
    overview.overview,
    overview.introduction,
    overview.model,
    services.services,
    network.configuration,
    network.communication,
    security.security,
    security.annexes,
)


def statement(facts: Facts) -> Statement:
    """Return the whole statement."""
    cover = (
        ("Product", f"{facts.product} {facts.version}"),
        ("Issued", facts.issued),
        ("Structure", "DICOM PS3.2 Annex N, Conformance Statement Template"),
        ("Made", "by the product, from the configuration that it runs by"),
        ("Intended use", "Exchange of medical documents for second opinions. Not a medical device."),
    )
    return Statement(
        title=f"{facts.product} {facts.version}: DICOM Conformance Statement",
        cover=cover,
        sections=tuple(section for chapter in _CHAPTERS for section in chapter(facts)),
    )
