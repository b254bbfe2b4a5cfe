"""What dicom3tools' dciodvfy says of a copy that it did not say of the original; it judges no content itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from anonymizer.reader import EXPLICIT_LE, NATIVE, read_part10
from anonymizer.writer import write_part10

VALUES = re.compile(r"= *<[^>]*>?|is <[^>]*>|UID [\d.]+|\[\d+\]")
#: It gave up on the file, and what it says next of a readable copy is not new.
UNREAD = ("Dicom dataset read failed", "Information Object Not found")


def available() -> bool:
    return shutil.which("dciodvfy") is not None


def errors(path: Path) -> Counter[str]:
    """Its errors, without the values in them."""
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, timeout=120, check=False)
    said = (done.stderr + done.stdout).decode("latin-1").splitlines()
    return Counter(VALUES.sub("=", line).strip() for line in said if line.startswith("Error"))


def errors_of_original(path: Path) -> Counter[str]:
    """Those of the original; of one that it cannot read also those of its bare re-encoding."""
    found = errors(path)
    if any(words in line for line in found for words in UNREAD):
        read = read_part10(path.read_bytes())
        syntax = EXPLICIT_LE if read.transfer_syntax in NATIVE else read.transfer_syntax
        plain = path.with_suffix(".plain")
        plain.write_bytes(b"".join(write_part10(read.dataset, transfer_syntax=syntax)))
        found += errors(plain)
    return found


def new_errors(pairs: Iterable[tuple[Path, Path]]) -> dict[str, Counter[str]]:
    """For each (original, copy) that has some, its new errors by the name of the copy."""

    def one(pair: tuple[Path, Path]) -> tuple[str, Counter[str]]:
        return pair[1].name, errors(pair[1]) - errors_of_original(pair[0])

    with ThreadPoolExecutor(2) as pool:
        return {name: new for name, new in pool.map(one, pairs) if new}
