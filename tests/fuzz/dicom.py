"""The long campaign against the DICOM node: `python -m tests.fuzz.dicom --inputs 1000000 --seed 1`, or `make fuzz`.

Input number n of a seed is always the same bytes, the randoms of TLS apart: what was found comes back with ``--only n``,
what was stopped goes on with ``--from n``. Exit status 1 when something was found.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from dicom_node.ae import Limits
from tests.fuzz.arena import Arena, Finding
from tests.fuzz.conversations import data_sets, files, to_acceptor, to_requestor, to_tls
from tests.fuzz.lanes import Lanes
from tests.fuzz.mutate import mutated

MOST_GROWTH_KB = 64 * 1024
LOOK_EVERY = 1000
TCP_EVERY = 250
ECHO_EVERY = 5000
STUCK_S = 300  # for a thousand inputs: where it stands is shown, and the campaign ends
SHARES = (("accept", 58), ("request", 15), ("head", 16), ("file", 6), ("tls", 5))
SMALL = Limits(
    max_pdu_bytes=512, max_command_bytes=200, max_fragments=16, max_instance_bytes=2000, drain_bytes=500
)


class Campaign:
    """Inputs of one seed, one after the other."""

    def __init__(self, seed: int, arena: Arena, lanes: Lanes) -> None:
        self._seed = seed
        self._arena = arena
        self._lanes = lanes
        self.kinds: Counter[str] = Counter()
        self.kept = 0

    def run(self, number: int) -> None:
        """One input; raises `Finding`, or whatever escaped from the code under test."""
        chance = random.Random(self._seed << 40 | number)
        kind = chance.choices(*zip(*SHARES, strict=True))[0]
        self.kinds[kind] += 1
        if kind == "accept":
            conversations = to_acceptor()
            pieces = mutated(chance.choice(conversations), conversations, chance)
            if number % TCP_EVERY == 0:
                self._lanes.begin(number, pieces)
            limits = SMALL if chance.random() < 0.1 else None
            self.kept += len(self._arena.accept(pieces, chance, limits=limits).kept)
        elif kind == "request":
            answers = to_requestor()
            self._arena.request(mutated(chance.choice(answers), answers, chance), chance)
        elif kind == "head":
            syntax, content = chance.choice(data_sets())
            if chance.random() < 0.1:
                syntax = chance.choice(data_sets())[0]
            others = [(other,) for _, other in data_sets()]
            self._arena.head(b"".join(mutated((content,), others, chance)), syntax)
        elif kind == "tls":
            flights = to_tls()
            self._arena.shake_hands(mutated(chance.choice(flights), flights, chance))
        else:
            others = [(other,) for other in files()]
            self._arena.file(b"".join(mutated(chance.choice(others), others, chance)))
        if number % LOOK_EVERY == 0:
            self._lanes.collect()
        if number % ECHO_EVERY == 0:
            self._lanes.echo()
            self._valid_still_passes()

    def _valid_still_passes(self) -> None:
        for conversation in to_acceptor()[:4]:
            self._arena.accept(conversation, random.Random(1))


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def campaign(
    *, seed: int, first: int, inputs: int, told: Callable[[int, float, int], None] | None = None
) -> tuple[Campaign, list[tuple[int, str]], float]:
    """Run `inputs` of a seed; what was found, by number, and the seconds it took.

    Memory is judged from the first thousand on: what is cached is cached by then.
    """
    findings: list[tuple[int, str]] = []
    began = time.monotonic()
    threads, descriptors = _threads(), _descriptors()
    with Lanes() as lanes, Arena() as arena:
        running = Campaign(seed, arena, lanes)
        base_kb = 0
        for number in range(first, first + inputs):
            try:
                running.run(number)
            except Exception as exc:  # whatever escapes is what we look for
                findings.append((number, f"{type(exc).__name__}: {exc}"))
            done = number - first + 1
            if done % LOOK_EVERY == 0:
                base_kb = base_kb or peak_kb()
                if peak_kb() - base_kb > MOST_GROWTH_KB:
                    findings.append(
                        (number, f"memory grew by {(peak_kb() - base_kb) >> 10} MiB since the start")
                    )
                    base_kb = peak_kb()
                if told is not None:
                    faulthandler.dump_traceback_later(STUCK_S, exit=True)
                    told(done, time.monotonic() - began, len(findings))
        try:
            lanes.empty()
            lanes.echo()
        except Finding as exc:
            findings.append((first + inputs, str(exc)))
    faulthandler.cancel_dump_traceback_later()  # it is a thread too
    for _ in range(200):  # ten seconds: this machine may be busy, and a leak stays
        if _threads() <= threads:
            break
        time.sleep(0.05)
    if _threads() > threads or _descriptors() > descriptors:
        left = f"{_threads() - threads} threads and {_descriptors() - descriptors} descriptors"
        findings.append((first + inputs, f"left {left} behind"))
    return running, findings, time.monotonic() - began


def _threads() -> int:
    """Of the operating system: those that Python's `threading` does not know count too."""
    return len(list(Path("/proc/self/task").iterdir()))


def _descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def _bar(inputs: int) -> Callable[[int, float, int], None]:
    def told(done: int, taken_s: float, found: int) -> None:
        filled = 40 * done // inputs
        rate = done / taken_s
        left_s = (inputs - done) / rate
        line = f"[{'#' * filled}{'.' * (40 - filled)}] {done}/{inputs}  {rate:.0f}/s  {found} found  {left_s:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif done % (100 * LOOK_EVERY) == 0:
            print(line, file=sys.stderr, flush=True)

    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first", help="go on with this input")
    parser.add_argument("--only", type=int, help="run this one input, and let what it raises pass")
    asked = parser.parse_args()
    if asked.only is not None:
        with Lanes() as lanes, Arena() as arena:
            Campaign(asked.seed, arena, lanes).run(asked.only)
        print(f"input {asked.only} of seed {asked.seed}: nothing found")
        return 0
    reached = [asked.first]

    def told(done: int, taken_s: float, found: int) -> None:
        reached[0] = asked.first + done
        bar(done, taken_s, found)

    bar = _bar(asked.inputs)
    try:
        with contextlib.suppress(BrokenPipeError):
            running, findings, taken_s = campaign(
                seed=asked.seed, first=asked.first, inputs=asked.inputs, told=told
            )
    except KeyboardInterrupt:
        print(f"\nstopped; go on with --seed {asked.seed} --from {reached[0]}")
        return 130
    print(
        f"\n{asked.inputs} inputs of seed {asked.seed} in {taken_s:.0f} s ({asked.inputs / taken_s:.0f}/s):"
        f" {dict(running.kinds)}, {running.kept} objects kept, peak {peak_kb() >> 10} MiB, {len(findings)} findings"
    )
    kinds = Counter(what[:60] for _, what in findings)
    for kind, count in kinds.most_common():
        number, what = next(found for found in findings if found[1][:60] == kind)
        print(f"  {count} times, the first --seed {asked.seed} --only {number}: {what}")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
