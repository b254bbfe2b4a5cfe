"""A message as P-DATA-TF PDUs, many to a buffer; nothing is sent here.

PS3.8 9.3.5 and Annex E.2, one presentation data value to a PDU. The buffers are two and used in turn, so that memory is
constant; only what is read behind a fragment tells whether it was the last.
"""

from __future__ import annotations

from collections.abc import Iterator

from dicom_node import pdu
from dicom_node.streams import Replayed, Source

_HEADER_BYTES = 12  # PDU and presentation data value in front of a fragment
_BUFFER_BYTES = 262144
_COMMAND_ROOM_BYTES = 4096
_COMMAND, _LAST = 1, 2


class Fragmenter:
    """The two buffers of one association; for one message at a time."""

    def __init__(self, max_pdu_bytes: int) -> None:
        self._step = max_pdu_bytes - 6
        self._stride = _HEADER_BYTES + self._step
        size_bytes = max(1, _BUFFER_BYTES // self._stride) * self._stride + _COMMAND_ROOM_BYTES
        self._buffers = memoryview(bytearray(size_bytes)), memoryview(bytearray(size_bytes))

    def pieces(self, context_id: int, command: bytes, data_set: Source | None) -> Iterator[memoryview]:
        """Yield the PDUs of a command set and, where there is one, of its data set; a view is good until the next one."""
        head = bytearray()
        for at in range(0, len(command), self._step):
            piece = command[at : at + self._step]
            last = _LAST if at + self._step >= len(command) else 0
            head += pdu.p_data(context_id, _COMMAND | last, piece)
        if data_set is None or len(head) > _COMMAND_ROOM_BYTES:
            yield memoryview(bytes(head))
            head.clear()
        if data_set is not None:
            yield from self._data_set(head, context_id, Replayed(b"", data_set))

    def _data_set(self, head: bytearray, context_id: int, stream: Replayed) -> Iterator[memoryview]:
        """The command goes with the first pieces of the data set: sent alone it would meet delayed ACKs."""
        current, other = self._buffers
        current[: len(head)] = head
        at = len(head)
        got = self._fill(stream, current, at)
        while True:
            end = at + _HEADER_BYTES + got
            room = len(current) - end >= self._stride
            target, place = (current, end) if room else (other, 0)
            following = self._fill(stream, target, place) if got == self._step else 0
            control = 0 if following else _LAST
            current[at : at + _HEADER_BYTES] = pdu.p_data_header(context_id, control, got)
            if not following:
                yield current[:end]
                return
            if not room:
                yield current[:end]
                current, other = other, current
            at, got = place, following

    def _fill(self, stream: Replayed, buffer: memoryview, at: int) -> int:
        return stream.readinto(buffer[at + _HEADER_BYTES : at + _HEADER_BYTES + self._step])
