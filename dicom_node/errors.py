"""What can go wrong on the DICOM network: one tree, and no protocol refusal in it (those are returned values).

DicomNodeError
├── ListenError                the address could not be taken
├── HeadError                  the first attributes of a data set cannot be read
├── DataSetCut                 a data set that ends inside an element
├── NotDicomError              a file that is not DICOM
├── PeerUnreachable            our own call out did not become an association
│   └── PeerRejected           A-ASSOCIATE-RJ: ``lasting`` tells that calling again cannot help
├── CertificateError           our own certificate, key or trust cannot be used
└── AssociationOver            the association cannot go on; ``how`` is the word for the audit event
    ├── PeerReleased           A-RELEASE-RQ where it may stand
    ├── PeerAborted            A-ABORT from the peer
    ├── PeerLost               the connection ended without a word
    ├── PeerTooSlow            a deadline passed (ARTIM, idle, minimum pace)
    ├── HandshakeRefused       no TLS, or a certificate that proves nothing
    ├── ProtocolViolation      a PDU or message that PS3.8 or PS3.7 does not allow here
    ├── InstanceTooLarge       the byte cap of one instance was passed
    └── NodeStopping           we are going down
"""

from __future__ import annotations


class DicomNodeError(Exception):
    """The DICOM node could not do what was asked; the message of the subclass says what to do next."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or (type(self).__doc__ or "").partition("\n")[0])


class ListenError(DicomNodeError):
    """The address is taken or not ours: choose another --dicom HOST:PORT, or stop the program that holds it."""


class HeadError(DicomNodeError):
    """The first attributes of the data set cannot be read: ask the sender to export the object again."""


class DataSetCut(DicomNodeError):  # noqa: N818 - a state of the object, not a fault
    """The data set ends inside an element: it is not whole, so nothing of it is kept; send it whole."""

    def __init__(self, tag: int) -> None:
        super().__init__(f"Data set ends inside element ({tag >> 16:04X},{tag & 0xFFFF:04X})")


class NotDicomError(DicomNodeError):
    """Not a DICOM file: neither a Part 10 preamble nor a plausible data set was found."""


class PeerUnreachable(DicomNodeError):  # noqa: N818 - a state of the network, not a fault
    """The peer did not accept an association: check its address, port and both AE titles."""


class CertificateError(DicomNodeError):
    """Our certificate, its key or what we trust cannot be used: `consilium certificate show` tells which."""


class PeerRejected(PeerUnreachable):
    """The peer rejected the association: the reason names what to mend."""

    def __init__(self, detail: str, *, lasting: bool) -> None:
        super().__init__(detail)
        self.lasting = lasting


class AssociationOver(DicomNodeError):  # noqa: N818 - a state of the association, not a fault
    """The association ended before the operation was complete: send what has no Success again."""

    how = "lost"


class PeerReleased(AssociationOver):
    """The peer released the association."""

    how = "released"


class PeerAborted(AssociationOver):
    """The peer aborted the association."""

    how = "aborted"


class PeerLost(AssociationOver):
    """The peer closed the connection without release or abort."""

    how = "lost"


class PeerTooSlow(AssociationOver):
    """The peer let a deadline pass."""

    how = "timeout"


class HandshakeRefused(AssociationOver):
    """The peer did not prove itself by TLS: give its certificate to the operator of this node."""

    how = "refused"


class ProtocolViolation(AssociationOver):
    """The peer sent what the standard does not allow here (PS3.8 9.3.8 gives the abort's source and reason)."""

    how = "malformed"

    def __init__(self, detail: str, *, source: int = 2, reason: int = 6) -> None:
        super().__init__(detail)
        self.source = source
        self.reason = reason


class InstanceTooLarge(AssociationOver):
    """The instance is larger than this peer may send: raise its limit or ask for a smaller object."""

    how = "malformed"


class NodeStopping(AssociationOver):
    """The node is stopping: send what has no Success again after its restart."""

    how = "aborted"
