"""E14: where memory may be swapped out in clear is told, and nothing is promised that Python cannot keep."""

import pytest

from storage.process import swap_in_clear

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@pytest.fixture
def machine(tmp_path):
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    (proc / "self").mkdir(parents=True)
    group = sys / "fs/cgroup/system.slice/consilium.service"
    group.mkdir(parents=True)
    (proc / "self/cgroup").write_text("4:memory:/x\n0::/system.slice/consilium.service\n")
    (proc / "swaps").write_text(HEAD)
    return proc, sys, group


def told(machine):
    return swap_in_clear(proc=machine[0], sys=machine[1])


def swaps(machine, *areas: str) -> None:
    (machine[0] / "swaps").write_text(HEAD + "".join(f"{area}  partition 1 0 -2\n" for area in areas))


def test_no_swap_is_nothing_to_tell(machine):
    assert told(machine) == []


def test_a_plain_partition_and_a_file_are_named(machine):
    swaps(machine, "/dev/sda2", "/swapfile")
    assert told(machine) == ["/dev/sda2", "/swapfile"]


def test_compressed_memory_and_encrypted_volumes_are_not_in_clear(machine):
    for name, uuid in (("dm-0", "CRYPT-PLAIN-swap\n"), ("dm-1", "LVM-abc\n")):
        (machine[1] / "block" / name / "dm").mkdir(parents=True)
        (machine[1] / "block" / name / "dm/uuid").write_text(uuid)
    swaps(machine, "/dev/zram0", "/dev/dm-0", "/dev/dm-1")
    assert told(machine) == ["/dev/dm-1"]


@pytest.mark.parametrize("level", [0, 1])
def test_a_service_that_may_not_swap_is_safe_whatever_the_machine_has(machine, level):
    swaps(machine, "/dev/sda2")
    limit = (machine[2], *machine[2].parents)[level] / "memory.swap.max"
    limit.write_text("max\n")
    assert told(machine) == ["/dev/sda2"]
    limit.write_text("0\n")
    assert told(machine) == []


def test_what_cannot_be_read_is_not_called_safe(machine):
    (machine[0] / "swaps").unlink()
    assert told(machine) is None
    (machine[0] / "self/cgroup").unlink()
    assert told(machine) is None


def test_this_machine_is_asked_without_error():
    assert isinstance(swap_in_clear(), list | None)
