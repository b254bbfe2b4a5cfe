"""E10: every pair of three shares brings the key back, one share tells nothing, and nothing else opens it."""

import json
from itertools import combinations

import pytest

from storage import KeyBackupError, every_set, make_backup, open_backup, read_words
from storage.keys.key_file import KeyFile

FILE = KeyFile(kek_id="file-0123456789abcdef", current=2, versions={1: b"1" * 32, 2: b"2" * 32})


@pytest.fixture(scope="module")
def made():
    return make_backup(FILE, shares=3, threshold=2)


def test_every_pair_opens_in_either_order(made):
    assert every_set(made.sealed, made.shares) == [(0, 1), (0, 2), (1, 2)]
    for pair in combinations(made.shares, 2):
        assert open_backup(made.sealed, pair) == FILE
        assert open_backup(made.sealed, pair[::-1]) == FILE
    assert all(len(share.split()) == 33 for share in made.shares)


@pytest.mark.parametrize(("shares", "threshold"), [(2, 2), (5, 3), (16, 16)])
def test_other_numbers_of_custodians(shares, threshold):
    made = make_backup(FILE, shares=shares, threshold=threshold)
    assert open_backup(made.sealed, made.shares[-threshold:]) == FILE
    with pytest.raises(KeyBackupError):
        open_backup(made.sealed, made.shares[: threshold - 1])


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (3, 1), (2, 3), (17, 2), (0, 0)])
def test_impossible_numbers_are_refused(shares, threshold):
    with pytest.raises(ValueError, match="at least"):
        make_backup(FILE, shares=shares, threshold=threshold)


def test_too_few_shares_and_the_same_one_twice_are_refused(made):
    for share in made.shares:
        for chosen in ([], [share], [share, share]):
            with pytest.raises(KeyBackupError):
                open_backup(made.sealed, chosen)
    with pytest.raises(KeyBackupError, match="2 shares"):
        every_set(made.sealed, made.shares[:1])


def test_share_of_another_backup_is_refused_and_named(made):
    other = make_backup(FILE, shares=3, threshold=2)
    with pytest.raises(KeyBackupError):
        open_backup(made.sealed, [made.shares[0], other.shares[1]])
    with pytest.raises(KeyBackupError, match="another backup"):
        open_backup(made.sealed, other.shares[:2])


def test_misread_word_is_noticed(made):
    words = made.shares[0].split()
    for place in (0, 3, 15, 32):
        for wrong in ("academic" if words[place] != "academic" else "acid", "zzz"):
            altered = " ".join([*words[:place], wrong, *words[place + 1 :]])
            with pytest.raises(KeyBackupError):
                open_backup(made.sealed, [altered, made.shares[1]])


def test_altered_sealed_file_is_refused(made):
    good = json.loads(made.sealed)
    changes = [{"current": 1}, {"kek_id": "file-other"}, {"shares": 4}, {"threshold": 1}, {"format": "other"}]
    changes += [
        {"sealed": good["sealed"][:-8] + "AAAAAAA="},
        {"sealed": ""},
        {"current": True},
        {"fingerprint": 1},
    ]
    for change in changes:
        with pytest.raises(KeyBackupError):
            open_backup(json.dumps(good | change).encode(), made.shares[:2])
    for content in (b"", b"[]", b"null", b"{", b"\xff"):
        with pytest.raises(KeyBackupError):
            open_backup(content, made.shares[:2])


def test_neither_file_nor_one_share_holds_a_key(made):
    for key in FILE.versions.values():
        assert key not in made.sealed
        assert key.hex().encode() not in made.sealed
    assert make_backup(FILE, shares=3, threshold=2).fingerprint != made.fingerprint


def test_words_are_read_from_the_sheet_or_alone(made):
    words = made.shares[0]
    sheet = "\n".join(
        ["CONSILIUM KEY BACKUP, SHARE 1 OF 3", "", "Needed    any 2 of 3 sheets, and the sealed file", ""]
        + [f"{n:>2}. {word}" for n, word in enumerate(words.split(), 1)]
    )
    assert read_words(sheet) == words
    assert read_words(words.upper()) == words
    assert read_words(words.replace(" ", "\n")) == words
    for wrong in ("", "  \n", "kéy words", "1234"):
        with pytest.raises(KeyBackupError):
            read_words(wrong)
