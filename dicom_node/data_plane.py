"""P-DATA of one association as commands and readable data sets; who the peer is and what is kept is not known here.

PS3.8 9.3.5 (P-DATA-TF), Annex E (fragments), PS3.7 6.3. Bytes of a data set go from the socket's buffer, or from the
socket itself, into the consumer's buffer; nobody reads, nothing is taken from the network (TCP back-pressure).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dicom_node import pdu
from dicom_node.ae import Limits
from dicom_node.command import Command, decode
from dicom_node.errors import (
    InstanceTooLarge,
    PeerAborted,
    PeerReleased,
    PeerTooSlow,
    ProtocolViolation,
)
from dicom_node.streams import ReadOnce
from dicom_node.wire import Wire

_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_COMMAND_BIT, _LAST_BIT = 1, 2


@dataclass(slots=True)
class Message:
    """A command set and, when one follows, its data set as a stream."""

    context_id: int
    command: Command
    data_set: DataSetStream | None


class DataPlane:
    """Reads the messages of an association in Sta6; used by one thread."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self._pdu_left = 0
        self._pdv_left = 0
        self._control = 0
        self._context_id = 0
        self._until = 0.0
        self._empty_in_a_row = 0
        self.between_messages = True

    def next_message(self) -> Message:
        """Wait for the next command set.

        Raises
        ------
        PeerReleased
            The peer asks for release, which it may do here.
        AssociationOver
            Anything else that ends the association.
        """
        self.between_messages = True
        encoded = bytearray()
        context_id = None
        began_s = float("inf")
        for _ in range(self._limits.max_fragments):
            self._next_fragment()
            self.between_messages = False
            began_s = min(began_s, self._wire.waited_s)
            if self._wire.waited_s - began_s > self._limits.artim_s:
                raise PeerTooSlow("the command set comes too slowly")
            if not self._control & _COMMAND_BIT:
                raise ProtocolViolation("a data set where a command set must stand", source=0, reason=0)
            if context_id not in (None, self._context_id):
                raise ProtocolViolation("a command set in two presentation contexts", source=0, reason=0)
            context_id = self._context_id
            if len(encoded) + self._pdv_left > self._limits.max_command_bytes:
                raise ProtocolViolation("the command set is too long", source=0, reason=0)
            while self._pdv_left:
                encoded += self._wire.read_exactly(self._take(min(self._pdv_left, 4096)), until=self._until)
            if self._control & _LAST_BIT:
                command = decode(encoded)
                stream = DataSetStream(self, context_id) if command.has_data_set else None
                return Message(context_id, command, stream)
        raise ProtocolViolation("the command set has too many fragments", source=0, reason=0)

    def _take(self, size: int) -> int:
        self._pdv_left -= size
        return size

    def _next_fragment(self) -> None:
        """Read up to the start of the next presentation data value."""
        wire = self._wire
        if not self._pdu_left:
            wire.wait_for_byte(until=wire.waited_s + self._limits.idle_s)
            self._until = wire.waited_s + self._limits.artim_s
            kind, length = _PDU_HEADER.unpack(wire.read_exactly(6, until=self._until))
            if kind != pdu.P_DATA:
                self._leave(kind, length)
            if not 6 <= length <= self._limits.max_pdu_bytes:
                raise ProtocolViolation(f"P-DATA-TF of {length} bytes")
            # ARTIM for beginning, then a pace: an absolute bound however the bytes are spread (PS3.8 9.1.5).
            self._until += length / self._limits.min_bytes_per_s
            self._pdu_left = length
        if self._pdu_left < 6:
            raise ProtocolViolation("a presentation data value does not fit into its PDU")
        length, self._context_id, self._control = _PDV_HEADER.unpack(wire.read_exactly(6, until=self._until))
        if not 2 <= length <= self._pdu_left - 4:
            raise ProtocolViolation("a presentation data value does not fit into its PDU")
        self._pdu_left -= 4 + length
        self._pdv_left = length - 2
        self._empty_in_a_row = 0 if self._pdv_left else self._empty_in_a_row + 1
        if self._empty_in_a_row > self._limits.max_fragments:
            raise ProtocolViolation("too many empty fragments", source=0, reason=0)

    def _leave(self, kind: int, length: int) -> None:
        """Any PDU but P-DATA in Sta6 ends it (PS3.8 Table 9-10)."""
        if kind in (pdu.RELEASE_RQ, pdu.ABORT):
            if length != pdu.FIXED_LENGTH:
                raise ProtocolViolation(f"{pdu.name(kind)} of {length} bytes")
            body = bytes(self._wire.read_exactly(length, until=self._until))
            if kind == pdu.ABORT:
                raise PeerAborted(f"A-ABORT from the peer, source {body[2]}, reason {body[3]}")
            if self.between_messages:
                raise PeerReleased
            raise ProtocolViolation("A-RELEASE-RQ inside a message", reason=2)
        if kind in pdu.KNOWN:
            raise ProtocolViolation(f"{pdu.name(kind)} on an association", reason=2)
        raise ProtocolViolation(f"unknown {pdu.name(kind)}", reason=1)

    def fragment_of(self, context_id: int) -> bool:
        """Make bytes of the open data set available; False when its last fragment has been read."""
        while not self._pdv_left:
            if self._control & _LAST_BIT and not self._control & _COMMAND_BIT:
                return False
            self._next_fragment()
            if self._control & _COMMAND_BIT:
                raise ProtocolViolation("a command set inside a data set", source=0, reason=0)
            if self._context_id != context_id:
                raise ProtocolViolation("a data set in two presentation contexts", source=0, reason=0)
        return True

    def read_fragment(self, target: memoryview) -> int:
        """Some bytes of the open fragment, which must have some."""
        if len(target) > self._pdv_left:
            target = target[: self._pdv_left]
        return self._take(self._wire.read_some(target, until=self._until))

    def skip_fragment(self) -> int:
        """Throw some bytes of the open fragment away."""
        return self._take(self._wire.skip_some(self._pdv_left, until=self._until))

    @property
    def waited_s(self) -> float:
        """Time spent waiting for the peer so far."""
        return self._wire.waited_s

    @property
    def limits(self) -> Limits:
        """What everybody is held to."""
        return self._limits


class DataSetStream(ReadOnce):
    """One data set as received."""

    def __init__(self, plane: DataPlane, context_id: int) -> None:
        super().__init__()
        self._plane = plane
        self._context_id = context_id
        self._began_s = plane.waited_s
        self.cap_bytes = plane.limits.max_instance_bytes

    def _some(self, target: memoryview, /) -> int:
        if not self._more():
            return 0
        allowed = (
            self.cap_bytes - self.received_bytes
        )  # what lies behind the cap is not read as if it were the object
        return self._plane.read_fragment(target if len(target) <= allowed else target[:allowed])

    def drain(self, at_most_bytes: int) -> None:
        """Throw the rest away, so that an exact status can be answered; past the bound the association ends."""
        self.cap_bytes = self.received_bytes + at_most_bytes
        if isinstance(self.broken, InstanceTooLarge):
            self.broken = None
        if self.broken is not None:
            raise self.broken
        while self._more():
            self.received_bytes += self._plane.skip_fragment()

    def _more(self) -> bool:
        if self.ended or not self._plane.fragment_of(self._context_id):
            self.ended = True
            return False
        if self.received_bytes >= self.cap_bytes:
            raise InstanceTooLarge(f"the instance is larger than {self.cap_bytes} bytes")
        limits = self._plane.limits
        allowed = 2 * limits.idle_s + self.received_bytes / limits.min_bytes_per_s
        if self._plane.waited_s - self._began_s > allowed:
            raise PeerTooSlow("the object comes more slowly than the pace allows")
        return True
