"""The part of `compose` that is about who calls in: all web doors under one address, the DICOM node, and what a worker does."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gateway.compose import Parts
from gateway.domain.errors import InvalidError
from gateway.settings import host_and_port

if TYPE_CHECKING:
    from dicom_node.node import DicomNode
    from dicom_node.tls import ServerTls
    from gateway.doors.http import House as Doorway
    from gateway.doors.jobs.runner import JobHandler


def doorway(parts: Parts) -> Doorway:
    """Return all web doors under one address."""
    # Each part of the tree loads its own doors alone: a command line call needs none of them.
    from gateway.doors.desk.app import desk_app
    from gateway.doors.http import DoorConfig
    from gateway.doors.http import House as Doorway
    from gateway.doors.machine.app import machine_app
    from gateway.doors.patient.app import create_app as patient_app
    from gateway.doors.patient.journeys import PatientJourneys
    from gateway.doors.reviewer.app import reviewer_app

    house, settings = parts.house, parts.settings
    common: dict[str, Any] = {
        "public_url": settings.url,
        "trusted_proxies": tuple(ip_network(p) for p in settings.trusted_proxies),
        "default_language": settings.language,
        "timezone": ZoneInfo(settings.timezone),
    }
    patient = PatientJourneys(house)
    return Doorway(
        {
            "/p": patient_app(
                patient, DoorConfig(prefix="/p", **common), max_file_bytes=settings.file_limit_bytes
            ),
            "/desk": desk_app(house, DoorConfig(prefix="/desk", **common)),
            "/review": reviewer_app(house, DoorConfig(prefix="/review", **common)),
            "/machine": machine_app(house, DoorConfig(prefix="/machine", **common), ending=parts.ending),
        },
        front="/p",
    )


def dicom_node(parts: Parts) -> DicomNode:
    """Return the node, not yet listening: plain first, then TLS, where they are set."""
    from dicom_node.ae import Limits
    from dicom_node.node import DicomNode, Listening
    from gateway.doors.dimse import DimseDoor

    settings = parts.settings
    if not settings.dicom and not settings.dicom_tls:
        raise InvalidError(
            "the DICOM node would listen nowhere", next_step="Set CONSILIUM_DICOM or CONSILIUM_DICOM_TLS."
        )
    listeners = []
    if settings.dicom:
        host, port = host_and_port(settings.dicom, what="--dicom")
        listeners.append(Listening(host=host, port=port))
    if settings.dicom_tls:
        host, port = host_and_port(settings.dicom_tls, what="--dicom-tls")
        listeners.append(Listening(host=host, port=port, tls=_server_tls(parts)))
    limits = Limits(user_identity=parts.settings.dicom_user_identity)
    return DicomNode(receiver=DimseDoor(parts.house), listeners=listeners, limits=limits)


def _server_tls(parts: Parts) -> ServerTls:
    """Return the TLS of our port; what cannot be used is said before anybody calls."""
    from dicom_node.errors import CertificateError
    from dicom_node.tls import ServerTls
    from gateway.adapters.peer_trust import PeerTrust

    settings = parts.settings
    trust = PeerTrust(parts.house.records, settings.tls_files)
    tls = ServerTls(trust, profile=settings.dicom_tls_profile)
    try:
        tls.standing()
    except CertificateError as error:
        raise InvalidError(
            str(error),
            next_step="Run `consilium certificate new --name HOST`, or mend what it names; then start again.",
        ) from error
    return tls


def job_handlers(parts: Parts) -> dict[str, JobHandler]:
    """Return what the worker calls for each kind of job."""
    from gateway.doors.jobs.registry import registry

    return registry(parts.house, workers=parts.settings.workers)
