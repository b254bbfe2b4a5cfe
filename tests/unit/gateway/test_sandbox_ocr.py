"""Words in pictures are read inside the confined child: no exec, no network, no file but the program's own."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from anonymizer.ocr import languages
from gateway.adapters.sandbox import ForkingSandbox
from gateway.ports import SandboxResult

TASKS = """
import io, resource
import numpy as np
from PIL import Image
from anonymizer.ocr import languages, read_words

def read(payload, options):
    page = np.asarray(Image.open(io.BytesIO(payload)))
    words = read_words(page, layout="sparse", only=tuple(options["only"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"words": [w.text for w in words], "languages": languages(), "peak": peak}, b""

TASKS = {"read": read}

def warm_up():
    if %r:
        read_words(np.full((64, 64), 255, np.uint8))
"""


@pytest.fixture(params=[True, False], ids=["packs loaded before the fork", "packs loaded in the child"])
def sandbox(tmp_path: Path, request):
    (tmp_path / "reading_tasks.py").write_text(TASKS % request.param)
    with ForkingSandbox(workers=1, tasks="reading_tasks", search_path=(tmp_path,)) as running:
        yield running


def page(text):
    drawn = Image.new("L", (900, 200), 15)
    font = ImageFont.load_default(24)
    ImageDraw.Draw(drawn).text((20, 60), text, fill=230, font=font)
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


def test_a_confined_child_reads_words_again_and_again(sandbox):
    for text in ("LINDQVIST Anna", "Fagerstrand Karl"):
        outcome = sandbox.run("read", page(text), {"only": []})
        assert isinstance(outcome, SandboxResult), outcome
        assert outcome.meta["words"] == text.split()
        assert tuple(outcome.meta["languages"]) == languages() != ()
        assert outcome.meta["peak"] < 600 << 20


@pytest.mark.skipif("rus" not in languages(), reason="the pack is not on this computer")
def test_a_child_may_load_a_pack_that_its_parent_has_not(sandbox):
    outcome = sandbox.run("read", page("Anna"), {"only": ["rus", "eng"]})
    assert isinstance(outcome, SandboxResult), outcome
    assert outcome.meta["words"]
