"""The table of what may be done in the sandbox: a name, and the workshop's function behind it; it decides nothing.

Each task takes the payload and a JSON object of options and gives back a JSON object and bytes. The contract's other end
is ``gateway.journeys.sandboxed``. Importing this module loads every parser once, before the first child is forked.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from anonymizer.documents import DeidentifiedDocument, deidentify_document, kind_of, preview, verify_document
from anonymizer.documents.harvest import harvest_document
from anonymizer.engine import Deidentified, deidentify_instance
from anonymizer.errors import AnonymizerError
from anonymizer.harvest import harvest_both
from anonymizer.known import Known
from anonymizer.ocr import read_words
from anonymizer.pixels import MaskRule, render_preview
from anonymizer.profile import PROFILES, Profile, load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.verify import verify_instance
from gateway.adapters.sandbox_child import MisusedError

Options = Mapping[str, Any]
Outcome = tuple[dict[str, Any], bytes]
Task = Callable[[bytes, Options], Outcome]
STRICT: Final = "strict"
_STRICT_REASON: Final = (
    "The strict profile takes no free text and no pictures of paper, so no document. "
    "Leave it out, or open the case with the profile mdt-default."
)


def _harvest_instance(payload: bytes, options: Options) -> Outcome:
    known, uids = harvest_both(payload)
    return {"known": known.to_json(), "uids": sorted(uids)}, b""


def _deidentify_instance(payload: bytes, options: Options) -> Outcome:
    made = deidentify_instance(
        payload,
        profile=_profile(options),
        pseudonyms=_pseudonyms(options),
        known=_known(options),
        masks=_masks(options),
    )
    if not isinstance(made, Deidentified):
        return _held(made), b""
    report = made.report.to_json()
    index = made.index | {
        "TransferSyntaxUID": made.transfer_syntax,
        "report": {name: value for name, value in report.items() if name != "entries"},
        "boxes": list(made.boxes),
        "masked": made.masked,
        "layout": made.layout,
    }
    look = [{"code": look.code, "reason": look.reason} for look in made.look]
    return {"index": index, "look": look, "report": report}, made.content


def _verify_instance(payload: bytes, options: Options) -> Outcome:
    leaks = verify_instance(payload, known=_known(options), original_uids=options["original_uids"])
    return {"leaks": [f"{leak.place}: {leak.kind}" for leak in leaks]}, b""


def _render_preview(payload: bytes, options: Options) -> Outcome:
    return {"media_type": "image/png"}, render_preview(payload, frame=int(options["number"]))


def _deidentify_document(payload: bytes, options: Options) -> Outcome:
    profile = _profile(options)
    if profile.name == STRICT:
        return {"quarantined": {"code": "profile_forbids", "reason": _STRICT_REASON, "place": ""}}, b""
    made = deidentify_document(
        payload,
        media_type=options["media_type"],
        known=_known(options),
        pseudonyms_shift_days=_pseudonyms(options).shift_days,
    )
    if not isinstance(made, DeidentifiedDocument):
        return _held(made), b""
    report = made.report.to_json() | {"profile": profile.name, "profile_digest": profile.digest}
    index = {
        "media_type": made.media_type,
        "extension": made.extension,
        "pages": made.pages,
        "report": report,
    }
    look = [{"code": "document_look", "reason": sentence} for sentence in made.look]
    return {"index": index, "look": look, "report": report}, made.content


def _verify_document(payload: bytes, options: Options) -> Outcome:
    leaks = verify_document(payload, media_type=options["media_type"], known=_known(options))
    return {"leaks": list(leaks)}, b""


def _preview_document(payload: bytes, options: Options) -> Outcome:
    picture = preview(payload, media_type=options["media_type"], page=int(options["number"]))
    return {"media_type": "image/png"}, picture


def _harvest_document(payload: bytes, options: Options) -> Outcome:
    return {"known": harvest_document(payload).to_json()}, b""


def _kind_of(payload: bytes, options: Options) -> Outcome:
    return {"media_type": kind_of(payload)}, b""


def _known(options: Options) -> Known:
    with _options():
        return Known.from_json(options["known"])


def _pseudonyms(options: Options) -> Pseudonyms:
    with _options():
        return Pseudonyms(bytes.fromhex(options["key"]))


def _masks(options: Options) -> tuple[MaskRule, ...]:
    with _options():
        return tuple(MaskRule.from_json(one) for one in options.get("masks", ()))


def _profile(options: Options) -> Profile:
    with _options():
        return load_profile(options["profile"])


@contextmanager
def _options() -> Iterator[None]:
    """Tell a mistake of ours in calling from a fault of the payload."""
    try:
        yield
    except (AnonymizerError, KeyError, ValueError) as error:
        raise MisusedError from error


def _held(quarantined: Any) -> dict[str, Any]:
    return {
        "quarantined": {
            "code": quarantined.code,
            "reason": quarantined.reason,
            "place": getattr(quarantined, "place", ""),
        }
    }


TASKS: Final[dict[str, Task]] = {
    "harvest_instance": _harvest_instance,
    "deidentify_instance": _deidentify_instance,
    "verify_instance": _verify_instance,
    "render_preview": _render_preview,
    "deidentify_document": _deidentify_document,
    "harvest_document": _harvest_document,
    "verify_document": _verify_document,
    "preview_document": _preview_document,
    "kind_of": _kind_of,
}


def warm_up() -> None:
    """Run the tasks once on objects of our own, so that no child has to read the tables again.

    It saves time and proves nothing: what fails here fails again where it is asked for, and is told there.
    """
    options: dict[str, Any] = {
        "known": {"names": ["Specimen^One"]},
        "key": "00" * 32,
        "original_uids": [],
        "number": 0,
        "media_type": "",
    }
    instance, page = _specimen(), Image.new("RGB", (8, 8), "white")
    runs: list[tuple[Task, bytes, str]] = [(_deidentify_instance, instance, name) for name in PROFILES]
    runs += [
        (task, instance, "") for task in (_harvest_instance, _verify_instance, _render_preview, _kind_of)
    ]
    for form in ("PDF", "JPEG", "PNG"):
        drawn = io.BytesIO()
        page.save(drawn, form)
        documents = (_deidentify_document, _verify_document, _preview_document)
        runs += [(task, drawn.getvalue(), "") for task in documents]
    runs.append((_deidentify_document, b"<html><p>Specimen</p>", ""))  # sets a page: loads the typeface
    for task, payload, profile in runs:
        with suppress(Exception):
            task(payload, options | {"profile": profile})
    with suppress(Exception):
        read_words(np.full((64, 64), 255, np.uint8))  # children share the language packs


def _specimen() -> bytes:
    """A secondary capture of four pixels that names nobody."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "2.25.2", "2.25.3", "OT"
    made.PatientName, made.PatientID, made.StudyDate = "Specimen^One", "SPECIMEN", "20200101"
    made.Rows = made.Columns = 2
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 7, 0, 1
    made.PhotometricInterpretation, made.PixelData = "MONOCHROME2", bytes(4)
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
