"""The doorbell of one computer."""

import threading
import time

from gateway.adapters.doorbell_local import BELL, LocalBell, LocalDoorbell


def test_a_ring_wakes_the_worker_at_once(tmp_path):
    with LocalBell(tmp_path) as bell:
        threading.Timer(0.1, LocalDoorbell(tmp_path).ring, ["0123abcd"]).start()
        begun = time.monotonic()
        assert bell.wait(10) == ["0123abcd"]
        assert time.monotonic() - begun < 2


def test_rings_wait_for_a_worker_that_is_busy(tmp_path):
    with LocalBell(tmp_path) as bell:
        for job_id in ("a", "b", "c"):
            LocalDoorbell(tmp_path).ring(job_id)
        assert bell.wait(1) == ["a", "b", "c"]
        assert bell.wait(0) == []


def test_a_ring_that_nobody_hears_is_no_error(tmp_path):
    LocalDoorbell(tmp_path).ring("a")
    LocalBell(tmp_path).close()
    LocalDoorbell(tmp_path).ring("a")
    (tmp_path / BELL).touch()
    LocalDoorbell(tmp_path).ring("a")


def test_a_worker_that_does_not_listen_holds_nobody_up(tmp_path):
    with LocalBell(tmp_path):
        doorbell = LocalDoorbell(tmp_path)
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            doorbell.ring("a" * 32)
            slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 0.5


def test_what_is_no_job_id_is_not_passed_on(tmp_path):
    with LocalBell(tmp_path) as bell:
        for job_id in ("../x", "a b", "x" * 65, "", "\x00"):
            LocalDoorbell(tmp_path).ring(job_id)
        LocalDoorbell(tmp_path).ring("good")
        assert bell.wait(1) == ["good"]
