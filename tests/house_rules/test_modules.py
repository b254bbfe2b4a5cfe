"""Rules that every module of the four packages keeps, found by walking the tree; each exception is named with its reason."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "dicom_node", "storage", "anonymizer")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|raise NotImplementedError|for now|simplified)\b")
MOST_LINES = 350
# Longer than a page of thought allows elsewhere: data and one-purpose readers. Taking a module off this list is welcome.
LONG = {
    "anonymizer/lexicon.py": "word lists as data",
    "anonymizer/offline.py": "the command that cleans a folder",
}
CHANGES_OUTSIDE = {
    "gateway/records/jobs.py": "a job that failed for good is told to the audit by the queue itself",
    "gateway/cli/trail.py": "the operator's reading of the trail and restart of a job are events, and no journey yet",
    "gateway/doors/patient/journeys.py": "the receipt is shown and noted in one step",
    "gateway/doors/desk/inbox.py": "looking at the inbox is an event of the page",
    "gateway/doors/desk/releases.py": "looking at a release on the desk is an event of the page",
}
NOT_NOTED: set[str] = set()
SECOND_SENTENCE = {
    "gateway/doors/desk/cases.py",
    "gateway/doors/desk/moves.py",
    "gateway/doors/desk/next_step.py",
    "gateway/doors/reviewer/visitor.py",
}
# TLS is the DICOM node's craft: what a certificate says, whether it is revoked, our own (PS3.15 B.12).
CERTIFICATES = ("certificates", "chains", "own_certificate", "revocation", "tls")
CRYPTOGRAPHY = (
    "storage/",
    "anonymizer/pseudonyms",
    "gateway/domain/audit.py",
    *(f"dicom_node/{name}.py" for name in CERTIFICATES),
)
PURE_JOURNEYS = {
    "certificate": "pure",
    "print_certificate": "pure",
    "workshop_digest": "pure: reads our own source",
    "standing_copy": "a question to an open view",
    "judged_of": "a question to an open view",
    "compose_package": "pure: names and order of a package",
    "identity_of": "pure",
    "described": "pure",
    "deadline_of": "pure: takes the time",
    "case_as_json": "pure",
    "move_case": "a step inside an open change",
    "mark_item": "a step inside an open change",
    "hold_conflicts": "a step inside an open change",
    "conflict_finding": "pure",
    "best_case": "a question to an open view",
    "suggestions": "a question to an open view",
    "house_secret": "a question to an open view",
    "uid_key": "a question to an open view",
    "email_key": "a question to an open view",
    "case_by_ref": "a question to an open view",
    "case_row": "a question to an open view",
    "case_rows": "a question to an open view",
    "unreadable_said": "words an error",
    "originals_key": "one port, as a word for it",
    "pseudonym_key": "one port, as a word for it",
    "known_of": "pure",
    "rules_in_force": "a question to an open view",
    "judged_words": "a question to an open view",
    "can_try_again": "a question to an open view",
    "owe_what_is_held": "a step inside an open change",
    "read_again_now": "pure: takes the time",
    "known_digest": "pure",
    "copy_ref": "pure",
    "original_ref": "pure",
    "new_token": "takes chance and nothing else",
    "progress_of": "a question to an open view",
    "questions_of": "pure",
}


@lru_cache
def _modules():
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(files) > 100
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}


@lru_cache
def _tree(name):
    return ast.parse(_modules()[name])


def _calls(name):
    return [node for node in ast.walk(_tree(name)) if isinstance(node, ast.Call)]


def test_nothing_is_left_unfinished():
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, source in _modules().items()
        for number, line in enumerate(source.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_every_module_opens_with_one_sentence_that_says_what_it_is():
    wrong = []
    for name in _modules():
        docstring = ast.get_docstring(_tree(name)) or ""
        first = docstring.split("\n\n")[0].replace("\n", " ").strip()
        second = re.search(r"[.!?] [A-ZÅÄÖ]", first) and name not in SECOND_SENTENCE
        if not first or first[-1] not in ".:" or second:
            wrong.append(f"{name}: {first[:120]!r}")
    assert wrong == []


def test_no_module_is_longer_than_a_reader_takes_in_at_once():
    lengths = {name: len(source.splitlines()) for name, source in _modules().items()}
    tables = ("records/tables.py", "records/migrations/", "anonymizer/tables/")
    long = {n: size for n, size in lengths.items() if size > MOST_LINES and not any(t in n for t in tables)}
    assert set(long) <= set(LONG), {n: size for n, size in long.items() if n not in LONG}


def test_changes_are_opened_by_journeys():
    found = {
        name
        for name in _modules()
        for call in _calls(name)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "change"
        and not name.startswith("gateway/journeys/")
    }  # fmt: skip
    assert found <= set(CHANGES_OUTSIDE), found - set(CHANGES_OUTSIDE)


def test_every_kind_of_event_is_noted_somewhere_and_every_note_is_a_kind():
    from gateway.domain.audit import EVENT_KINDS

    noted, strings = set(), set()
    for name in _modules():
        if not name.startswith("gateway/") or name in {
            "gateway/domain/audit.py",
            "gateway/doors/desk/event_words.py",
            "gateway/doors/desk/words.py",
            "gateway/doors/desk/store_words.py",
        }:
            continue
        for call in _calls(name):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "note" and call.args:
                kinds = [n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)]
                noted |= {kind for kind in kinds if isinstance(kind, str)}
        strings |= {
            n.value for n in ast.walk(_tree(name)) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
    assert noted - set(EVENT_KINDS) == set()
    assert set(EVENT_KINDS) - noted - strings == NOT_NOTED


def test_cryptography_is_imported_where_it_is_the_craft_only():
    found = []
    for name in _modules():
        for node in ast.walk(_tree(name)):
            modules = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )  # fmt: skip
            if any(m.split(".")[0] == "cryptography" for m in modules) and not name.startswith(CRYPTOGRAPHY):
                found.append(name)
    assert found == []


def test_a_log_event_is_a_name_and_ids_and_never_a_made_up_sentence():
    levels, wrong = {"debug", "info", "warning", "error", "critical", "exception"}, []
    for name in _modules():
        for call in _calls(name):
            where = call.func
            if not (
                isinstance(where, ast.Attribute)
                and where.attr in levels
                and isinstance(where.value, ast.Name)
            ):
                continue
            if where.value.id not in {"log", "logger", "_log"} or not call.args:
                continue
            event = call.args[0]
            if name == "dicom_node/failures.py" and isinstance(event, ast.Name):
                continue  # passes on the name that its caller gives
            plain = isinstance(event, ast.Constant) and isinstance(event.value, str)
            if not plain or not re.fullmatch(r"[a-z][a-z0-9_]*", event.value):
                wrong.append(f"{name}:{call.lineno}")
    assert wrong == []


PORTS = {
    "records",
    "store",
    "clock",
    "random",
    "texter",
    "mailer",
    "scanner",
    "sandbox",
    "witness",
    "policy",
    "jobs",
}


def test_every_journey_takes_its_ports_by_name_only():
    wrong, journeys = [], 0
    for name in _modules():
        if not name.startswith("gateway/journeys/"):
            continue
        for node in _tree(name).body:
            if (
                not isinstance(node, ast.FunctionDef)
                or node.name.startswith("_")
                or node.name in PURE_JOURNEYS
            ):
                continue
            journeys += 1
            by_place = {a.arg for a in node.args.args} & PORTS
            if name.endswith("sandboxed.py"):
                by_place -= {"sandbox"}  # its own words for one port
            if by_place or isinstance(node, ast.AsyncFunctionDef):
                wrong.append(f"{name}: {node.name} takes {sorted(by_place)} by place")
    assert wrong == []
    assert journeys > 50


def test_a_journey_knows_no_request_and_no_settings():
    for name, source in _modules().items():
        if name.startswith("gateway/journeys/"):
            assert not re.search(r"\b(fastapi|starlette|os\.environ|Settings|async def|global )\b", source), (
                name
            )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_errors_with_words_for_the_reader(package):
    for name in _modules():
        if not name.startswith(f"{package}/"):
            continue
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                assert ast.get_docstring(node), f"{name}: {node.name} says nothing"
