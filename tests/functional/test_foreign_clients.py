"""More real clients against the real node: GDCM, Orthanc as a sender, pynetdicom with compressed objects, and those who ask."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE, build_context
from pynetdicom.sop_class import CTImageStorage, Verification

from dicom_node.part10 import open_part10
from dicom_node.receiver import Admitted
from tests import factories
from tests.fakes.orthanc import PROGRAM, Orthanc
from tests.functional.test_node_clients import (
    CALLED,
    CALLING,
    PYDICOM_FILES,
    data_set_of,
    dcmtk,
    instance_file,
)
from tests.unit.dicom_node.peers import KeepingReceiver, only, running, timed_echo

pytestmark = pytest.mark.functional

GDCM = Path("/usr/bin/gdcmscu")
needs_gdcm = pytest.mark.skipif(not GDCM.exists(), reason="gdcmscu is not installed (libgdcm-tools)")


def gdcmscu(*arguments, calling=CALLING, called=CALLED):
    return subprocess.run(
        [GDCM, "--aetitle", calling, "--call", called, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def echoing(port):
    """Somebody else asks for a C-ECHO all the time; afterwards the list holds how long each took."""
    took, over = [], threading.Event()

    def ask():
        while True:  # once at least, however quickly the rest is over
            took.append(timed_echo(port))
            if over.wait(0.05):
                return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join(10)
    assert took
    assert max(took) <= 1


# --- GDCM -----------------------------------------------------------------------------------------------------------


def talked(done):
    """Whether gdcmscu did what was asked. Debian's 3.0.21 dies of its own release, against DCMTK's storescp too."""
    return done.returncode == 0 or "ProtocolStream as nullptr is invalid" in done.stderr


@needs_gdcm
def test_gdcm_echoes_and_is_told_apart():
    receiver = KeepingReceiver(admitted=only())
    with running(receiver) as port:
        assert talked(gdcmscu("--echo", "127.0.0.1", port))
        assert gdcmscu("--echo", "127.0.0.1", port, calling="STRANGER").returncode != 0
        receiver.wait_for_end(2)
    assert [end.how for end in receiver.ends] == ["released", "refused"]


@needs_gdcm
def test_gdcm_stores_a_series_bit_by_bit(tmp_path):
    files = [instance_file(tmp_path, n, pixels=bytes([n, 1]) * 40_000) for n in range(12)]
    receiver = KeepingReceiver()
    with running(receiver) as port, echoing(port):
        done = gdcmscu("--store", "127.0.0.1", port, "-r", "-i", tmp_path)
        assert talked(done), done.stdout + done.stderr
        receiver.wait_for_end()
    assert sorted(data for _, data in receiver.kept) == sorted(map(data_set_of, files))


@needs_gdcm
def test_gdcm_hears_a_refusal(tmp_path):
    receiver = KeepingReceiver(admitted=Admitted(may_store=False, may_echo=True))
    with running(receiver) as port:
        done = gdcmscu("--store", "127.0.0.1", port, "-i", instance_file(tmp_path, 1))
        assert done.returncode != 0
        assert timed_echo(port) < 1
    assert receiver.kept == []


# --- Orthanc ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not PROGRAM.exists(), reason="Orthanc is not installed (orthanc)")
def test_orthanc_sends_what_it_holds(tmp_path):
    compressed = ("JPEG2000", "SC_rgb_rle", "MR_small_jpeg_ls_lossless", "JPEG-lossy")
    contents = [factories.ct_instance(3, number=n) for n in range(1, 21)]
    contents += [(PYDICOM_FILES / f"{name}.dcm").read_bytes() for name in compressed]
    receiver = KeepingReceiver(admitted=only(calling="ORTHANC"))
    with running(receiver) as port:
        modalities = {"gateway": [CALLED, "127.0.0.1", port]}
        with (
            Orthanc(tmp_path / "orthanc", ae_title="ORTHANC", modalities=modalities) as orthanc,
            echoing_of(port),
        ):
            assert orthanc.http.post("/modalities/gateway/echo", json={}).is_success
            sent = orthanc.send("gateway", [orthanc.take(content) for content in contents], Synchronous=True)
            assert sent["ok"], sent
            assert sent["FailedInstancesCount"] == 0
    kept = {
        instance.sop_instance_uid: (instance.transfer_syntax_uid, data) for instance, data in receiver.kept
    }
    assert len(kept) == len(contents)
    for content in contents:
        meta, stream = open_part10(io.BytesIO(content))
        syntax, data = kept[meta.sop_instance_uid]
        assert syntax == meta.transfer_syntax_uid  # as it lay there, not transcoded
        ours, theirs = read(data, syntax), read(stream.read(), syntax)
        assert ours.PixelData == theirs.PixelData
        assert str(ours.get("PatientName")) == str(theirs.get("PatientName"))


@contextlib.contextmanager
def echoing_of(port):
    """As `echoing`, under the title that the careful receiver knows."""
    from tests.unit.dicom_node.peers import RawPeer

    took, over = [], threading.Event()

    def ask():
        while True:  # once at least, as there
            began = time.monotonic()
            with RawPeer(port) as peer:
                assert peer.associate(calling="ORTHANC")[0] == 2
                assert peer.echo() == 0
            took.append(time.monotonic() - began)
            if over.wait(0.1):
                return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(10)
    assert took
    assert max(took) <= 1


def read(data, syntax):
    from dicom_node.part10 import file_meta_bytes

    meta = file_meta_bytes(sop_class_uid="1.2", sop_instance_uid="1.2", transfer_syntax_uid=syntax)
    return dcmread(io.BytesIO(meta + data))


# --- pynetdicom ---------------------------------------------------------------------------------------------------------

COMPRESSED = (
    "JPEG2000",
    "SC_rgb_rle",
    "MR_small_jpeg_ls_lossless",
    "MR_small_jp2klossless",
    "JPEG-lossy",
    "SC_rgb_jpeg_gdcm",
    "CT_small",
    "MR_small_bigendian",
    "image_dfl",
)


SENDER = """
import json, sys, threading, time
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE, build_context
from pynetdicom.sop_class import Verification

port, calling, files = json.loads(sys.argv[1])
data_sets = [dcmread(name) for name in files]
kinds = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in data_sets}
statuses = []

def resumed(association):
    # Its reactor may still be on its way out of the last pause; a request sent now would lose its response to it.
    while association._is_paused: time.sleep(0.005)
    return association

def one():
    entity = AE(ae_title=calling)
    entity.requested_contexts = [*(build_context(*kind) for kind in kinds), build_context(Verification)]
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = 120  # it polls, and there are twenty
    association = entity.associate("127.0.0.1", port)
    assert association.is_established and not association.rejected_contexts
    statuses.extend(resumed(association).send_c_store(data_set).Status for data_set in data_sets)
    statuses.append(resumed(association).send_c_echo().Status)
    association.release()

threads = [threading.Thread(target=one) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(statuses))
"""


def test_pynetdicom_stores_compressed_objects_over_twenty_associations_at_once():
    files = [str(PYDICOM_FILES / f"{name}.dcm") for name in COMPRESSED]
    receiver = KeepingReceiver(reads="into")
    with running(receiver) as port, echoing(port):
        done = subprocess.run(
            [sys.executable, "-c", SENDER, json.dumps([port, CALLING, files])],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [0] * 20 * (len(files) + 1)
    assert len(receiver.kept) == 20 * len(files)
    kept = {(i.sop_instance_uid, i.transfer_syntax_uid, data) for i, data in receiver.kept}
    assert len(kept) == len(files)


# --- those who ask (N9, day-one 34) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("findscu", ("-P", "-k", "0008,0052=PATIENT", "-k", "0010,0020")),
        ("findscu", ("-S", "-k", "0008,0052=STUDY", "-k", "0020,000d")),
        ("findscu", ("-W", "-k", "0010,0020")),
        ("movescu", ("-S", "-aem", "THIEF", "-k", "0008,0052=STUDY", "-k", "0020,000d=1.2.3")),
        ("getscu", ("-S", "-k", "0008,0052=STUDY", "-k", "0020,000d=1.2.3")),
    ],
)
def test_queries_and_retrievals_find_no_context(program, arguments, tmp_path):
    receiver = KeepingReceiver()
    where = ("-od", tmp_path) if program == "getscu" else ()
    with running(receiver) as port:
        done = dcmtk(program, "-v", "-aet", CALLING, "-aec", CALLED, *where, *arguments, "127.0.0.1", port)
        assert done.returncode != 0
        assert "presentation context" in (done.stdout + done.stderr).lower()
        assert timed_echo(port) < 1
    assert list(tmp_path.iterdir()) == []
    assert receiver.kept == []


def test_no_service_but_echo_storage_and_commitment_is_negotiated():
    """N9: of every SOP class that pynetdicom knows, those that are no storage are refused, each in its own context."""
    from pynetdicom import sop_class

    tables = [getattr(sop_class, name) for name in dir(sop_class) if name.endswith("_CLASSES")]
    classes = sorted({str(uid) for table in tables for uid in table.values() if isinstance(uid, str)})
    assert len(classes) > 200
    receiver = KeepingReceiver(admitted=Admitted(may_store=True, may_echo=True, may_commit=True))
    refused = set()
    with running(receiver) as port:
        for at in range(0, len(classes), 100):
            entity = AE(ae_title=CALLING)
            entity.requested_contexts = [
                build_context(uid) for uid in [*classes[at : at + 100], CTImageStorage]
            ]
            association = entity.associate("127.0.0.1", port)
            assert association.is_established
            refused |= {str(context.abstract_syntax) for context in association.rejected_contexts}
            association.release()
    # PS3.6 knows what is stored, and what of pynetdicom's storage classes is younger than the dictionary is storage too.
    named_storage = {uid for uid in classes if "Storage" in UID(uid).name} - {"1.2.840.10008.1.3.10"}
    assert refused == set(classes) - named_storage - set(sop_class._STORAGE_CLASSES.values()) - {
        str(Verification)
    }
