"""The conformance statement of this house: what the node cannot know of it, gathered from the tables that the journeys run by."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from datetime import timedelta
from importlib.metadata import version

from pydicom.charset import python_encoding

from anonymizer.profile import METHOD_CODES, PROFILES, load_profile
from dicom_node.conformance import (
    CommitmentFacts,
    DeidentificationFacts,
    DeliveryFacts,
    Facts,
    Statement,
    size,
    statement,
)
from gateway.domain import commitment, delivery
from gateway.domain.calls import CallRules
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.refuse_instance import REFUSALS

PRODUCT = "Consilium"
_TERM = re.compile(r"ISO_IR \d+|ISO 2022 IR \d+|GBK|GB18030")  # PS3.3 C.12.1.1.2

_FAILURES = (
    (commitment.PROCESSING_FAILURE, "kept, and not what it was: damaged, its key gone, or in conflict"),
    (commitment.NO_SUCH_INSTANCE, "this peer has not sent it, or it is not kept any more"),
    (commitment.CLASS_CONFLICT, "kept under another SOP class"),
    (commitment.DUPLICATE_TRANSACTION, "the Transaction UID was used for another request"),
)
# What a peer's row holds; the names are those of `consilium peer add`.
PEER_WORDS = {
    "hosts": ("--host", "address ranges that it may call from; none: this computer only"),
    "called": ("--called", "AE titles that it may call; none: the house's and those of cases"),
    "certificates": ("--certificate", "certificates that it may show; with one it must come by TLS"),
    "names": ("--name", "names that a certificate of a trusted authority must carry instead"),
    "may_echo": ("--echo", "C-ECHO"),
    "may_store": ("--store", "C-STORE and STOW-RS"),
    "may_commit": ("--commit", "storage commitment"),
    "may_receive": ("--receive", "releases may be sent to it"),
    "sop_classes": ("--sop-class", "SOP classes that are taken from it; none: all"),
    "transfer_syntaxes": ("--transfer-syntax", "transfer syntaxes that are taken from it; none: all"),
    "max_associations": ("--max-associations", "associations at a time; none: the house's limit"),
    "max_instance_bytes": ("--max-object", "size of an object; none: the house's limit"),
    "day_bytes": ("--per-day", "bytes in 24 hours; none: no limit"),
    "address": ("--address", "where it listens: for C-ECHO, C-STORE and commitment reports"),
    "calls_by_tls": ("--tls", "whether we call it by TLS"),
    "token_hash": ("`consilium peer token`", "its bearer token for STOW-RS; none: it may not come by HTTP"),
}


def state_conformance(*, policy: Policy, rules: CallRules, issued: str = "") -> Statement:
    """Return the statement; without ``issued`` it names the version alone, and is the same every day."""
    release = version("consilium")
    return statement(
        Facts(
            product=PRODUCT,
            version=release,
            issued=issued or f"with version {release}",
            ae_title=policy.ae_title,
            plain_address=policy.dicom_at,
            tls_address=policy.dicom_tls_at,
            tls_profile=rules.profile,
            max_instance_bytes=policy.instance_limit_bytes,
            case_titles="the title of every case that takes studies (`C-` and eight characters)",
            refusals=tuple((code, comment) for _, code, comment in REFUSALS),
            settings=_settings(policy, rules),
            peer_settings=_peer_settings(),
            commitment=_commitment(),
            delivery=_delivery(),
            deidentification=tuple(_deidentification()),
            character_sets=tuple(sorted(term for term in python_encoding if _TERM.fullmatch(term))),
            web_base=f"{policy.public_url.rstrip('/')}/machine",
        )
    )


def _settings(policy: Policy, rules: CallRules) -> tuple[tuple[str, str, str], ...]:
    return (
        ("CONSILIUM_AE_TITLE", f"`{policy.ae_title}`", "our AE title"),
        ("CONSILIUM_DICOM", f"`{policy.dicom_at}`" if policy.dicom_at else "none", "DICOM without TLS"),
        (
            "CONSILIUM_DICOM_TLS",
            f"`{policy.dicom_tls_at}`" if policy.dicom_tls_at else "none",
            "DICOM over TLS",
        ),
        ("CONSILIUM_DICOM_TLS_PROFILE", f"`{rules.profile}`", "`b12` or `b13`, see 8.4"),
        (
            "CONSILIUM_PLAIN_DICOM_ELSEWHERE",
            "yes" if rules.plain_elsewhere else "no",
            "whether plain DICOM may leave or enter this computer",
        ),
        (
            "CONSILIUM_DICOM_HOST",
            f"`{policy.dicom_host}`" if policy.dicom_host else "as listened on",
            "the name under which peers reach us",
        ),
        (
            "CONSILIUM_QUIET_S",
            f"{policy.quiet_s:g} s",
            "quiet period after which a study is taken to be complete",
        ),
        ("(fixed)", size(policy.instance_limit_bytes), "largest object"),
    )


def _peer_settings() -> tuple[tuple[str, str, str], ...]:
    defaults = {
        one.name: one.default if one.default is not MISSING else None
        for one in fields(Peer)
        if one.name in PEER_WORDS
    }
    return tuple((name, _spelled(defaults[key]), meaning) for key, (name, meaning) in PEER_WORDS.items())


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value else "none"


def _commitment() -> CommitmentFacts:
    waits = [commitment.report_again_after(tries) for tries in range(1, 7)]
    return CommitmentFacts(
        missing_wait=f"it is waited for, at most {_words(commitment.MISSING_WAIT)}, or "
        f"{_words(commitment.MISSING_QUIET)} after the sender last sent anything",
        reports=f"tried again after {', '.join(_words(one) for one in waits[:-1])}, then every {_words(waits[-1])}, "
        f"and at most {commitment.MOST_REFUSALS} times where the peer answers and refuses",
        report_for=_words(commitment.REPORT_FOR),
        failures=tuple((reason, meaning) for reason, meaning in _FAILURES),
    )


def _delivery() -> DeliveryFacts:
    first, last = delivery.wait_after(1), delivery.wait_after(1_000)
    return DeliveryFacts(
        tries="copies of an approved release are sent to one peer instance by instance; after a setback it goes on with "
        f"what has no final answer, after {_words(first)} and at the longest {_words(last)}, for {_words(delivery.TRY_FOR)}",
        statuses=tuple(
            (start.ljust(4, "x"), words) for start, words in delivery.STATUS_WORDS if start.upper() == start
        ),
    )


def _deidentification() -> list[DeidentificationFacts]:
    found = []
    for name, profile in PROFILES.items():
        if profile.identified:
            continue
        options = ["basic", *sorted(profile.options, key=lambda option: METHOD_CODES[option][0])]
        found.append(
            DeidentificationFacts(
                name=name,
                summary=profile.summary,
                codes=tuple(METHOD_CODES[option] for option in options),
                edition=load_profile(name).edition,
            )
        )
    return found


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}s" if count > 1 else f"1 {unit}"
    return f"{seconds} seconds"
