"""Real clients against the real node: DCMTK, pynetdicom's SCU, our own."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from pydicom.data.data_manager import DATA_ROOT
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import CTImageStorage, Verification

from dicom_node import contexts
from dicom_node.part10 import file_meta_bytes, open_part10
from dicom_node.receiver import Admitted, StoreOutcome
from dicom_node.requestor import Call
from dicom_node.scu import OutboundInstance, echo, send
from tests.fakes.outbound import outbound_file
from tests.unit.dicom_node.peers import (
    CALLED,
    CALLING,
    CT,
    EXPLICIT,
    KeepingReceiver,
    data_set,
    only,
    running,
)

pytestmark = pytest.mark.functional

PYDICOM_FILES = Path(DATA_ROOT) / "test_files"

# File and the option that makes storescu propose its transfer syntax first.
STORESCU_FILES = {
    "CT_small": "-xe",
    "MR_small_implicit": "-xi",
    "MR_small_bigendian": "-xb",
    "image_dfl": "-xd",
    "SC_rgb_rle": "-xr",
    "JPEG-lossy": "-xx",
    "SC_rgb_jpeg_gdcm": "-xs",
    "SC_rgb_jpeg_dcmtk": "-xy",
    "MR_small_jp2klossless": "-xv",
    "JPEG2000": "-xw",
    "MR_small_jpeg_ls_lossless": "-xt",
    "rtplan": "-xi",
    "reportsi": "-xe",
    "waveform_ecg": "-xe",
    "liver_expb_1frame": "-xb",
}


def dcmtk(name, *arguments, nodelay=True):
    environment = {**os.environ, "TCP_NODELAY": "1"} if nodelay else dict(os.environ)
    return subprocess.run(
        [f"/usr/bin/{name}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


@contextlib.contextmanager
def storescp(folder, *options):
    """DCMTK's storage SCP, writing the bits it receives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = subprocess.Popen(
        ["/usr/bin/storescp", "+B", "+xa", "-od", str(folder), *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def instance_file(folder, number, pixels=b"\1\2" * 5000, syntax=EXPLICIT):
    uid = f"1.2.3.4.{number}"
    path = folder / f"{number:05}.dcm"
    meta = file_meta_bytes(sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax_uid=syntax)
    path.write_bytes(meta + data_set(sop_instance=uid, pixels=pixels))
    return path


def test_echoscu_is_answered_and_told_apart():
    receiver = KeepingReceiver(admitted=only())
    with running(receiver) as port:
        assert dcmtk("echoscu", "-aet", CALLING, "-aec", CALLED, "127.0.0.1", port).returncode == 0
        stranger = dcmtk("echoscu", "-v", "-aet", "STRANGER", "-aec", CALLED, "127.0.0.1", port)
        assert stranger.returncode != 0
        assert "Calling AE Title Not Recognized" in stranger.stdout + stranger.stderr
        wrong = dcmtk("echoscu", "-v", "-aet", CALLING, "-aec", "OTHER", "127.0.0.1", port)
        assert "Called AE Title Not Recognized" in wrong.stdout + wrong.stderr
        receiver.wait_for_end(3)
        assert [e.how for e in receiver.ends] == ["released", "refused", "refused"]


@pytest.mark.parametrize("nodelay", [True, False])
def test_storescu_sends_a_series_and_never_stalls(tmp_path, nodelay):
    files = [instance_file(tmp_path, n) for n in range(60)]
    receiver = KeepingReceiver()
    with running(receiver) as port:
        dcmtk("echoscu", "127.0.0.1", port, nodelay=nodelay)
        started = time.monotonic()
        done = dcmtk("storescu", "127.0.0.1", port, *files, nodelay=nodelay)
        taken = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert len(receiver.kept) == 60
    # 40 ms of delayed acknowledgement per object would be 2.4 s.
    assert taken < 1.5


def test_what_storescu_sends_is_what_is_kept(tmp_path):
    """Both SCPs get the same objects from the same sender: every bit of them."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    receiver = KeepingReceiver(reads="into")
    with running(receiver) as port, storescp(theirs) as their_port:
        for name, proposal in STORESCU_FILES.items():
            for target in (port, their_port):
                done = dcmtk("storescu", "-R", proposal, "127.0.0.1", target, PYDICOM_FILES / f"{name}.dcm")
                assert done.returncode == 0, (name, done.stderr)
    reference = {}
    for path in theirs.iterdir():
        with path.open("rb") as file:
            meta, stream = open_part10(file)
            reference[meta.sop_instance_uid] = (meta.transfer_syntax_uid, stream.read())
    ours = {i.sop_instance_uid: (i.transfer_syntax_uid, data) for i, data in receiver.kept}
    assert len(receiver.kept) == len(STORESCU_FILES)
    assert len({syntax for syntax, _ in ours.values()}) >= 9
    assert ours == reference


def test_dcmsend_sends_a_folder_of_every_kind(tmp_path):
    receiver = KeepingReceiver()
    report = tmp_path / "report.txt"
    wanted = [
        PYDICOM_FILES / f"{name}.dcm"
        for name in (
            "CT_small",
            "MR_small",
            "MR_small_bigendian",
            "JPEG2000",
            "SC_rgb_rle",
            "image_dfl",
            "rtplan",
            "JPGExtended",
        )
    ]
    with running(receiver) as port:
        done = dcmtk("dcmsend", "-v", "-dn", "+crf", report, "127.0.0.1", port, *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {i.transfer_syntax_uid for i, _ in receiver.kept} >= {
        contexts.DEFLATED_LITTLE,
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.5",
    }
    assert len(receiver.kept) == len(wanted)


def data_set_of(path):
    with path.open("rb") as file:
        return open_part10(file)[1].read()


def pynetdicom_store(association, context, data, *, sop_class=CT, sop_instance="1.2.3.4.5"):
    """pynetdicom's SCU with given bytes: its send_c_store would encode a data set anew."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_instance
    request.DataSet = io.BytesIO(data)
    association.dimse.send_msg(request, context.context_id)
    return association.dimse.get_msg(block=True)[1]


def pause(association):
    """Its reactor thread must not take our answers away; its own wait for that pause is a race under load."""
    association._reactor_checkpoint.clear()
    time.sleep(0.3)


def objects_in(syntax):
    """A data set with the attributes of intake in the encoding of `syntax`, followed by opaque pixels."""
    from tests.unit.dicom_node.test_head import ENCODINGS, patient, written

    kind = {
        "implicit": contexts.IMPLICIT_LITTLE,
        "big": contexts.EXPLICIT_BIG,
        "deflated": contexts.DEFLATED_LITTLE,
    }
    like = kind.get(contexts.encoding_of(syntax), contexts.EXPLICIT_LITTLE)
    assert like in ENCODINGS
    return written(patient(), like)


def test_every_transfer_syntax_is_kept_bit_by_bit():
    syntaxes = sorted(contexts.TRANSFER_SYNTAXES)
    receiver = KeepingReceiver()
    with running(receiver) as port:
        entity = AE(ae_title=CALLING)
        entity.requested_contexts = [build_context(CTImageStorage, syntax) for syntax in syntaxes]
        association = entity.associate("127.0.0.1", port)
        assert association.is_established
        assert len(association.accepted_contexts) == len(syntaxes)
        pause(association)
        sent = {}
        for context in association.accepted_contexts:
            syntax = str(context.transfer_syntax[0])
            sent[syntax] = objects_in(syntax)
            answer = pynetdicom_store(association, context, sent[syntax], sop_instance="1.2.3.4.5.6")
            assert answer.Status == 0, (syntax, hex(answer.Status), answer.ErrorComment)
        association.release()
    assert {i.transfer_syntax_uid: data for i, data in receiver.kept} == sent
    assert {i.head.patient_name for i, _ in receiver.kept} == {"Åkesson^Örjan"}


@pytest.mark.parametrize("max_pdu", [0, 4096, 65536, 1 << 20])
def test_pdu_sizes_from_4_kib_to_1_mib(max_pdu):
    receiver = KeepingReceiver()
    data = data_set(pixels=bytes(range(256)) * 3000)
    with running(receiver, max_pdu_bytes=max(max_pdu, 4096)) as port:
        entity = AE(ae_title=CALLING)
        entity.add_requested_context(CTImageStorage, EXPLICIT)
        entity.add_requested_context(Verification)
        association = entity.associate("127.0.0.1", port, max_pdu=max_pdu)
        context = next(c for c in association.accepted_contexts if c.abstract_syntax == CT)
        pause(association)
        for _ in range(3):
            assert pynetdicom_store(association, context, data).Status == 0
        assert association.send_c_echo().Status == 0
        association.release()
    assert [held for _, held in receiver.kept] == [data] * 3


def test_pynetdicom_proposes_all_that_can_be_negotiated():
    receiver = KeepingReceiver()
    with running(receiver) as port:
        entity = AE(ae_title=CALLING)
        entity.requested_contexts = [build_context(uid) for uid in sorted(contexts.STORAGE_SOP_CLASSES)[:128]]
        association = entity.associate("127.0.0.1", port)
        assert len(association.accepted_contexts) == 128
        association.release()
        assert receiver.wait_for_end().how == "released"


def test_refusals_of_the_receiver_reach_the_sender(tmp_path):
    receiver = KeepingReceiver(
        answer=StoreOutcome(status=0xA700, comment="Disk is at its watermark, send again later")
    )
    with running(receiver) as port:
        done = dcmtk("storescu", "-d", "127.0.0.1", port, instance_file(tmp_path, 1))
    said = done.stdout + done.stderr
    assert "Refused: OutOfResources" in said.replace("Out of resources", "OutOfResources")
    assert "watermark" in said


def test_twenty_associations_store_at_once(tmp_path):
    files = [instance_file(tmp_path, n, pixels=bytes([n]) * 50000) for n in range(10)]
    receiver = KeepingReceiver(reads="into")
    codes = []

    def one():
        codes.append(dcmtk("storescu", "127.0.0.1", port, *files).returncode)

    with running(receiver) as port:
        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        receiver.wait_for_end(20)
    assert codes == [0] * 20
    expected = {}
    for path in files:
        with path.open("rb") as file:
            meta, stream = open_part10(file)
            expected[meta.sop_instance_uid] = stream.read()
    assert len(receiver.kept) == 200
    assert all(expected[i.sop_instance_uid] == data for i, data in receiver.kept)
    assert sum(end.instances_kept for end in receiver.ends) == 200


# --- our own SCU ----------------------------------------------------------------------------------------------------


def call(port, **changes):
    return Call(**({"host": "127.0.0.1", "port": port, "called_ae": CALLED, "calling_ae": CALLING} | changes))


def outbound(data, uid, syntax=EXPLICIT, sop_class=CT):
    return OutboundInstance(
        sop_class_uid=sop_class,
        sop_instance_uid=uid,
        transfer_syntax_uid=syntax,
        open=lambda: io.BytesIO(data),
    )


def test_our_scu_and_storescp_exchange_every_bit(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    files = [
        instance_file(tmp_path, n, pixels=bytes([n]) * size)
        for n, size in enumerate([2, 16370, 131054, 400000])
    ]
    with storescp(folder) as port:
        assert echo(call(port)).reached
        outcomes = list(send(call(port), [outbound_file(path) for path in files]))
    assert all(outcome.kept for outcome in outcomes)
    assert sorted(map(data_set_of, folder.iterdir())) == sorted(map(data_set_of, files))


def test_our_scu_and_our_scp_exchange_every_size():
    receiver = KeepingReceiver()
    sets = [
        data_set(sop_instance=f"1.2.{n}", pixels=b"\5" * n)
        for n in (0, 2, 130000, 130800, 130900, 131072, 1 << 20)
    ]
    sizes = (0, 2, 130000, 130800, 130900, 131072, 1 << 20)
    with running(receiver) as port:
        outcomes = list(send(call(port), [outbound(d, f"1.2.{n}") for n, d in zip(sizes, sets, strict=True)]))
        found = echo(call(port))
    assert [o.status for o in outcomes] == [0] * len(sets)
    assert [data for _, data in receiver.kept] == sets
    assert found.implementation_version.startswith("CONSILIUM")


def test_each_instance_has_its_own_outcome():
    receiver = KeepingReceiver(admitted=Admitted(may_store=True, may_echo=True, sop_classes=frozenset({CT})))
    good, other = data_set(sop_instance="1.2.1"), data_set(sop_instance="1.2.2")

    def unreadable():
        raise OSError("sealed object is gone")

    broken = OutboundInstance(
        sop_class_uid=CT, sop_instance_uid="1.2.4", transfer_syntax_uid=EXPLICIT, open=unreadable
    )
    instances = [
        outbound(good, "1.2.1"),
        outbound(other, "1.2.9"),
        outbound(good, "1.2.3", sop_class="1.2.840.10008.5.1.4.1.1.4"),
        broken,
        outbound(good, "1.2.1"),
    ]
    with running(receiver) as port:
        outcomes = list(send(call(port), instances))
    assert [o.status for o in outcomes] == [0, 0xA900, None, None, 0]
    assert [o.sop_instance_uid for o in outcomes] == ["1.2.1", "1.2.9", "1.2.3", "1.2.4", "1.2.1"]
    assert "does not accept" in outcomes[2].why
    assert "could not be read" in outcomes[3].why


def test_more_kinds_than_one_association_can_carry():
    classes = sorted(contexts.STORAGE_SOP_CLASSES)[:150]
    instances = [outbound(data_set(sop_class=c, sop_instance="1.2.1"), "1.2.1", sop_class=c) for c in classes]
    receiver = KeepingReceiver()
    with running(receiver) as port:
        assert all(o.kept for o in send(call(port), instances))
        assert receiver.wait_for_end(2).instances_kept == 22


def test_a_peer_that_cannot_be_reached_is_explained():
    receiver = KeepingReceiver(admitted=only())
    with running(receiver) as port:
        refused = echo(call(port, calling_ae="STRANGER"))
        assert not refused.reached
        assert "(1,1,3)" in refused.why
        outcomes = list(send(call(port, called_ae="OTHER"), [outbound(data_set(), "1.2.3.4.5")]))
        assert [o.status for o in outcomes] == [None]
        assert "(1,1,7)" in outcomes[0].why
    gone = echo(call(port, timeout_s=1))
    assert not gone.reached
    assert "no connection" in gone.why


def test_a_peer_that_stays_silent_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        found = echo(call(silent.getsockname()[1], timeout_s=1))
        assert not found.reached
        assert time.monotonic() - started < 4


def test_the_rest_goes_over_a_new_association_when_one_breaks():
    receiver = KeepingReceiver()
    with running(receiver) as port:

        class Broken:
            def __init__(self):
                self._data = io.BytesIO(data_set(pixels=bytes(600_000)))

            def read(self, size=-1):
                piece = self._data.read(min(size, 500))
                if not piece:
                    raise OSError("gone in the middle")
                return piece

            def close(self):
                pass

        broken = OutboundInstance(
            sop_class_uid=CT, sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=EXPLICIT, open=Broken
        )
        good = outbound(data_set(), "1.2.3.4.5")
        outcomes = list(send(call(port), [good, broken, good]))
        receiver.wait_for_end(2)
    assert [o.status for o in outcomes] == [0, None, 0]
    assert receiver.thrown_away == 1
    assert sorted(end.how for end in receiver.ends) == ["aborted", "released"]
