"""The benchmarks run and give figures; what the figures are is no test's affair."""

import json

import pytest

from tests.benchmarks import dicom
from tests.benchmarks.dicom_tables import as_json, as_markdown, as_table, write_between_markers
from tests.benchmarks.figures import Series, Taken, fairness, percentile
from tests.benchmarks.processes import machine

pytestmark = pytest.mark.functional


@pytest.fixture(autouse=True)
def few_objects(monkeypatch):
    monkeypatch.setattr(dicom, "QUICK_COUNTS", {"ct": 4, "small": 4, "big": 1})


def test_the_dicom_benchmark_gives_figures_and_leaves_nothing_behind(tmp_path):
    told = tmp_path / "told.json"
    work = tmp_path / "work"
    work.mkdir()
    arguments = ["--quick", "--only", "ct,light", "--servers", "storescp,ours", "--associations", "2"]

    assert dicom.main([*arguments, "--folder", str(work), "--json", str(told)]) == 0

    found = json.loads(told.read_text(encoding="utf-8"))
    assert [one["sender"] for one in found["series"]] == ["storescu", "light"]
    for one in found["series"]:
        for server in ("storescp", "ours"):
            (taken,) = one["runs"][server]
            assert taken["refused"] == 0
            assert taken["objects"] == 4
            assert taken["wall_s"] > 0
            assert taken["peak_bytes"] >= taken["idle_bytes"] > 0
    assert found["series"][1]["runs"]["ours"][0]["p99_ms"] > 0
    assert found["ratios"][0]["throughput"] > 0
    assert list(work.iterdir()) == []


def _series():
    def taken(wall_s):
        return Taken(wall_s=wall_s, cpu_s=1, idle_bytes=1, peak_bytes=2, objects=1, size_bytes=10**8)

    return Series(
        name="ct",
        words="CT",
        sender="storescu",
        associations=1,
        nodelay=True,
        load_before=0.1,
        runs={"ours": [taken(1), taken(4), taken(2)], "orthanc": [taken(2), taken(2), taken(6)]},
    )


def test_a_ratio_compares_what_was_taken_in_the_same_repetition(tmp_path):
    series = _series()

    assert series.ratios("ours", "orthanc") == [2.0, 0.5, 3.0]
    ratios = as_json([series], machine(tmp_path), runs=3, took_s=1)["ratios"]
    assert [(one["other"], one["throughput"]) for one in ratios] == [("orthanc", 2.0)]


def test_the_markdown_stands_between_its_markers_and_nothing_else_changes(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text("# Figures\n\nBefore.\n", encoding="utf-8")
    text = as_markdown([_series()], machine(tmp_path), runs=3, quick=False)

    for _ in range(2):
        write_between_markers(document, text)

    whole = document.read_text(encoding="utf-8")
    assert whole.startswith("# Figures\n\nBefore.\n")
    assert whole.count("| Orthanc | 50 | 17 to 50 | 2.00 |") == 1
    assert as_table([_series()]).renderables


def test_evenness_is_what_the_slowest_has_when_the_first_is_done():
    assert fairness([[1, 2, 3], [1.5, 2.5, 3.5]]) == pytest.approx(2 / 3)
    assert fairness([[1, 2], [5, 6]]) == 0
    assert percentile([5, 1, 3], 50) == 3
    assert percentile(list(range(1, 101)), 99) == 99
