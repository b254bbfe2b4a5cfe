"""What dciodvfy says of an output that it did not say of the input."""

import re
import shutil
import subprocess
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VALUE = re.compile(r"= <[^>]*>|\[[^\]]*\] = .*|<[^<>]*\d{6,}[^<>]*>")

DEFLATED = b"1.2.840.10008.1.2.1.99"


def available() -> bool:
    return shutil.which("dciodvfy") is not None


def inflated(content: bytes) -> bytes:
    """A deflated file as explicit little endian, since dciodvfy is built without zlib; others as they are."""
    if content[128:132] != b"DICM" or DEFLATED not in content[:1024]:
        return content
    start = 144 + int.from_bytes(content[140:144], "little")
    plain = b"1.2.840.10008.1.2.1".ljust(len(DEFLATED), b"\0")
    return content[:start].replace(DEFLATED, plain) + zlib.decompressobj(-15).decompress(content[start:])


def errors(path: Path) -> set[str]:
    """The error lines, without the values in them."""
    content = path.read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".dcm") as held:
        if DEFLATED in content[:1024]:
            held.write(inflated(content))
            held.flush()
            path = Path(held.name)
        try:
            done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return {"dciodvfy took too long"}
    lines = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
    return {VALUE.sub("=", line).strip() for line in lines if line.startswith("Error")}


def new_errors(pairs: list[tuple[Path, Path]]) -> list[list[str]]:
    """For each (input, output) the errors that are new."""

    def one(pair: tuple[Path, Path]) -> list[str]:
        return sorted(errors(pair[1]) - errors(pair[0]))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, pairs))
