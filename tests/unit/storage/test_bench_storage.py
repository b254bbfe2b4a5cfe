"""The benchmark runs and gives figures; what the figures are is no test's affair."""

import json

import pytest

from tests.benchmarks import documents, storage
from tests.benchmarks.processes import machine
from tests.benchmarks.storage_figures import Figure, as_markdown, as_table


def test_every_part_gives_figures_and_leaves_nothing_behind(tmp_path, capsys):
    work, told = tmp_path / "work", tmp_path / "told.json"
    work.mkdir()

    assert storage.main(["--quick", "--folder", str(work), "--json", str(told)]) == 0

    parts = json.loads(told.read_text(encoding="utf-8"))["parts"]
    assert set(parts) == {title for title, _ in storage.PARTS.values()}
    figures = [figure for part in parts.values() for figure in part]
    assert all(figure["median"] > 0 for figure in figures)
    assert {f["wanted"] for f in figures} >= {"≥ 0.5", "≥ 0.7", "≤ 1 ms", "≥ 500 MB/s"}
    assert list(work.iterdir()) == []
    assert "publish 512 KiB" in capsys.readouterr().out


def test_a_part_that_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        storage.main(["--only", "cipher,nothing"])
    assert "nothing is none of cipher" in capsys.readouterr().err


def test_a_ratio_compares_what_was_taken_in_the_same_repetition(tmp_path):
    figure = Figure(
        words="seal | open", unit="GB/s", ours=(1, 4, 2), beside="raw", bare=(2, 2, 6), wanted="≥ 0.5"
    )
    assert figure.ratio == 0.5

    text = as_markdown({"Title": [figure]}, machine(tmp_path), runs=3, quick=False, load_before=0.1)

    assert "| seal \\| open | 2 GB/s | 1 to 4 | raw | 2 GB/s | 0.50 | ≥ 0.5 |" in text
    assert as_table({"Title": [figure]}).row_count == 2


def test_a_figure_has_as_many_values_as_what_stands_beside_it():
    for wrong in ({"ours": ()}, {"ours": (1,), "beside": "x", "bare": (1, 2)}, {"ours": (1,), "beside": "x"}):
        with pytest.raises(ValueError, match="repetition"):
            Figure(words="x", unit="s", **wrong)


def test_two_benchmarks_write_into_one_document(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text("# Figures\n\nBefore.\n", encoding="utf-8")
    for mark, text in (("one", "old"), ("two", "second"), ("one", "new")):
        documents.write_between(document, mark, text)
    whole = document.read_text(encoding="utf-8")
    assert whole.startswith("# Figures\n\nBefore.\n")
    assert "<!-- one: begin -->\nnew\n<!-- one: end -->" in whole
    assert "<!-- two: begin -->\nsecond\n<!-- two: end -->" in whole
    assert "old" not in whole
