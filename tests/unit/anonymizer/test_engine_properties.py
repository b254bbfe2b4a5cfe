"""What must hold for any object at all: nothing raises, nothing moves twice, nothing that had to go is left."""

from __future__ import annotations

import struct
import warnings

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from anonymizer.engine import Deidentified, Quarantined, deidentify_instance
from anonymizer.harvest import harvest_instance, harvest_uids
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from tests.unit.anonymizer import made

PROFILE = load_profile("mdt-default")
SEEDS = [
    made.encoded(make())
    for make in (made.planted_ct, made.report, made.structure_set, made.scanned, made.presentation)
]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def judged(content: bytes) -> Deidentified | Quarantined:
    return deidentify_instance(content, profile=PROFILE, pseudonyms=Pseudonyms(made.KEY), known=made.KNOWN)


@SLOW
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_bytes_are_cleaned_or_held_and_the_verdict_reads_back(seed, data):
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                content[at] = data.draw(st.integers(0, 255))
            case 1:
                del content[at : at + data.draw(st.integers(1, 64))]
            case 2:
                content[at:at] = data.draw(st.binary(min_size=1, max_size=32))
            case _:
                content[at : at + 4] = struct.pack(
                    "<L", data.draw(st.sampled_from([0, 1, 0xFFFFFFFF, 0xFFFE, 1 << 31]))
                )
    content = bytes(content)
    verdict = judged(content)
    harvest_instance(content)
    harvest_uids(content)
    if isinstance(verdict, Quarantined):
        assert verdict.code != "not_understood", verdict.place
        assert verdict.reason.endswith(".")
        return
    again = judged(verdict.content)
    assert isinstance(again, Deidentified)
    assert again.content == verdict.content


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
@example(b"\x08\x00\x05\x00")
def test_any_bytes_at_all_are_held_or_cleaned(tail):
    for head in (b"", bytes(128) + b"DICM", b"\x08\x00\x16\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0"):
        verdict = judged(head + tail)
        harvest_instance(head + tail)
        if isinstance(verdict, Quarantined):
            assert verdict.code != "not_understood", verdict.place


# With letters, and long enough: four digits stand in every pseudonym by chance.
WORDS = st.from_regex(r"[A-ZÅÄÖ][a-zåäöéß]{4,7} ?[A-Za-zåäö0-9]{1,7}", fullmatch=True)
VALUES = {
    "LO": WORDS, "SH": WORDS, "ST": WORDS, "LT": WORDS,
    "PN": st.from_regex(r"[A-ZÅÄÖ][a-zåäö]{3,12}\^[A-Z][a-zé]{3,9}", fullmatch=True),
    "UI": st.from_regex(r"1\.2\.752(\.[1-9][0-9]{0,6}){2,6}", fullmatch=True),
    "DA": st.dates().map(lambda day: f"{day.year:04d}{day.month:02d}{day.day:02d}"),
}  # fmt: skip
GONE = tuple(
    (tag, vr)
    for tag, vr in (
        (0x00080050, "SH"), (0x00080080, "LO"), (0x00080081, "ST"), (0x00080090, "PN"), (0x00081010, "SH"),
        (0x00081050, "PN"), (0x00081070, "PN"), (0x00100010, "PN"), (0x00100020, "LO"), (0x00100030, "DA"),
        (0x00101001, "PN"), (0x00101040, "LO"), (0x00101090, "LO"), (0x00181000, "LO"), (0x0020000D, "UI"),
        (0x0020000E, "UI"), (0x00200010, "SH"), (0x00200052, "UI"), (0x00321032, "PN"), (0x00380010, "LO"),
        (0x00400006, "PN"), (0x00402016, "LO"), (0x00104000, "LT"),
    )
    if PROFILE.rule(tag, vr).action.startswith(("X", "Z", "D", "U", "I", "P"))
)  # fmt: skip


@SLOW
@given(st.data())
def test_no_value_of_an_attribute_that_must_go_is_left_in_the_bytes(data):
    ds, inner = made.ct(), Dataset()
    planted: list[str] = []
    with warnings.catch_warnings(action="ignore"):
        for target in (ds, inner):
            for tag, vr in data.draw(st.lists(st.sampled_from(GONE), min_size=1, max_size=6, unique=True)):
                value = data.draw(VALUES[vr]).strip()
                if len(value.strip(" -.")) >= 4:
                    target.add_new(tag, vr, value)
                    planted.append(value)
        ds.SourceImageSequence = [inner]
        ds.SpecificCharacterSet = "ISO_IR 192"
        content = made.encoded(ds)
        untouched = made.ct()
        untouched.SpecificCharacterSet = "ISO_IR 192"
        plain = judged(made.encoded(untouched))
    verdict = judged(content)
    assert isinstance(verdict, Deidentified), verdict
    assert isinstance(plain, Deidentified)
    for value in planted:
        needle = value.encode("utf-8")
        if needle not in plain.content:
            assert needle not in verdict.content, value
