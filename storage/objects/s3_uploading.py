"""One object on its way into a bucket: gathered in one part's worth of memory, sent whole or in parts, dropped after any error.

References
----------
Amazon S3 API Reference, CreateMultipartUpload, UploadPart, CompleteMultipartUpload and AbortMultipartUpload.
"""

import secrets
from contextlib import suppress

from storage.errors import ObjectExistsError
from storage.objects.retrying import NOT_DONE, patiently
from storage.objects.s3_errors import S3RefusalError, while_writing
from storage.objects.s3_wire import Parcel, Wire

LAST_TRIES = 2  # of what is cleared away after an error: the sender waits for her answer meanwhile


class Upload:
    """The bytes of one object, for one thread; `finish` or `drop` ends it.

    Nothing is under the key before the server has all of it. A ticket, random and new for each call, is kept with the
    object, so that after an error one that is ours can be told from one that was there.
    """

    def __init__(
        self, wire: Wire, key: str, object_id: str, *, part_bytes: int, is_conditional: bool
    ) -> None:
        self._wire = wire
        self._key = key
        self._object_id = object_id
        self._part_bytes = part_bytes
        self._is_conditional = is_conditional
        self._ticket = secrets.token_hex(16)
        self._parcel = Parcel()
        self._upload_id = ""
        self._tags: list[str] = []
        self._may_be_there = False
        self.size_bytes = 0

    def add(self, piece: memoryview | bytes) -> None:
        """Take one piece; send a part when there is one.

        Raises
        ------
        StoreFullError, StoreOutageError, StoreDeniedError
            The part was not taken.
        """
        view = memoryview(piece)
        while view:
            if len(self._parcel) == self._part_bytes:
                self._send_part()
            taken = view[: self._part_bytes - len(self._parcel)]
            self._parcel += taken
            self.size_bytes += len(taken)
            view = view[len(taken) :]

    def finish(self) -> None:
        """Make the object; return only when the server has all of it under its key.

        Raises
        ------
        ObjectExistsError
            The id is taken.
        StoreFullError, StoreOutageError, StoreDeniedError
            It was not kept, as far as is known.
        """
        try:
            if self._upload_id:
                self._send_part()
                self._finish_parts()
            else:
                self._finish_whole()
        except S3RefusalError as refusal:
            if refusal.kind == "taken":
                self._may_be_there = False
                raise ObjectExistsError(self._object_id) from refusal
            raise while_writing(refusal, self._object_id) from refusal

    def drop(self) -> None:
        """Leave nothing, as far as the server can be reached; what stays is swept after a day, or found by a scrub."""
        if self._upload_id:
            with suppress(S3RefusalError):
                patiently(lambda: self._wire.abort(self._key, self._upload_id), attempts=LAST_TRIES)
        if self._may_be_there:
            # The answer to the last request was lost: what is there may be ours, or another's.
            with suppress(S3RefusalError):
                head = patiently(lambda: self._wire.head(self._key), attempts=LAST_TRIES)
                if head is not None and head.ticket == self._ticket:
                    patiently(lambda: self._wire.delete(self._key), attempts=LAST_TRIES)

    def _send_part(self) -> None:
        """Send what is gathered as the next part. Parts are numbered, so one that is sent twice replaces itself."""
        try:
            if not self._upload_id:
                self._upload_id = self._wire.begin(self._key, ticket=self._ticket)
            number = len(self._tags) + 1
            self._tags.append(
                patiently(lambda: self._wire.put_part(self._key, self._upload_id, number, self._parcel))
            )
        except S3RefusalError as refusal:
            raise while_writing(refusal, self._object_id) from refusal
        self._parcel = Parcel()

    def _finish_whole(self) -> None:
        if not self._is_conditional:
            self._refuse_taken()
        self._may_be_there = True
        patiently(lambda: self._wire.put(self._key, self._parcel, ticket=self._ticket), after=NOT_DONE)

    def _finish_parts(self) -> None:
        """Complete, with a look before and after.

        Ceph 16 and others heed If-None-Match for whole objects and ignore it here, so the key is looked at first; and a
        server may say 200 and then an error, so only what it holds afterwards counts.
        """
        self._refuse_taken()
        self._may_be_there = True
        self._wire.complete(self._key, self._upload_id, self._tags)
        head = patiently(lambda: self._wire.head(self._key))
        if head is None:
            raise S3RefusalError("outage", "nothing is there after completion")
        if head.size_bytes != self.size_bytes:
            raise S3RefusalError("outage", f"{head.size_bytes} bytes are there of {self.size_bytes}")
        self._upload_id = ""

    def _refuse_taken(self) -> None:
        if patiently(lambda: self._wire.head(self._key)) is not None:
            raise S3RefusalError("taken", "the key is taken")
