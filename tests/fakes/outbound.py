"""Part 10 files as instances that our SCU sends: for tests of what goes over the wire."""

from __future__ import annotations

from pathlib import Path

from dicom_node.part10 import open_part10
from dicom_node.scu import OutboundInstance


class FileDataSet:
    """The data set of a Part 10 file, behind its File Meta."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.meta, self._stream = open_part10(self._file)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)

    def close(self) -> None:
        self._file.close()


def outbound_file(path: Path) -> OutboundInstance:
    """An instance that is read from its file when its turn comes."""
    first = FileDataSet(path)
    first.close()
    return OutboundInstance(
        sop_class_uid=first.meta.sop_class_uid,
        sop_instance_uid=first.meta.sop_instance_uid,
        transfer_syntax_uid=first.meta.transfer_syntax_uid,
        open=lambda: FileDataSet(path),
    )
