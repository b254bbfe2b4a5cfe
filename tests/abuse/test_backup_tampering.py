"""Whoever can write in a backup repository, and holds no key: whatever she changes there is found and named, and nothing of hers is restored."""

import json
import random
import shutil

import pytest

from gateway.domain.backup import read_manifest, signed_file
from gateway.domain.errors import ConsiliumError, InvalidError, UnavailableError
from storage import StorageError
from tests.fakes.backup_house import BackedHouse, flip
from tests.fakes.journey_house import open_house

FLIPS = 40


@pytest.fixture
def backed(tmp_path):
    folder = tmp_path / "live"
    folder.mkdir(mode=0o700)
    house = open_house(folder)
    made = BackedHouse(house, "", tmp_path)
    made.some()
    made.create()
    yield made
    house.close()


@pytest.fixture
def repository(backed):
    return backed.folder / "repository"


@pytest.fixture
def manifest(backed):
    return read_manifest(backed.place.manifest(backed.place.ids()[-1]))


def _object(repository, object_id):
    return repository / "objects" / object_id[:2] / object_id


def _refused(backed, name, **values):
    """Try to restore into a new home; return the words with which it is refused or what the report names."""
    new = backed.new_home("", name)
    try:
        report = new.restore(**values)
    except (ConsiliumError, StorageError) as error:
        return str(error)
    assert not report.is_whole
    assert new.home.chosen(""), "a home with losses must not start"
    return "; ".join(report.lost + report.flaws)


def test_any_bit_of_a_manifest_that_was_flipped_is_found(backed, repository, manifest):
    path, chance = repository / "manifests" / manifest.id, random.Random(7)
    whole = path.read_bytes()
    body = len(whole.partition(b"\n\n")[0])
    for number in range(FLIPS):
        flip(path, chance.randrange(body))
        with pytest.raises((InvalidError, UnavailableError)):
            backed.verify()
        if number % 10 == 0:
            assert _refused(backed, f"new{number}")
        path.write_bytes(whole)
    assert backed.verify().is_sound


def test_a_signature_that_was_cut_moved_or_made_with_another_key_does_not_hold(backed, repository, manifest):
    path = repository / "manifests" / manifest.id
    whole = path.read_bytes()
    second = backed.create().manifest
    other = backed.place.manifest(second.id)
    forged = signed_file(manifest.body(), origin="consilium/backup", seed=bytes(32))
    for content in (
        whole.partition(b"\n\n")[0],
        whole[:-20],
        whole.partition(b"\n\n")[0] + b"\n\n" + other.partition(b"\n\n")[2],
        forged,
        other,
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidError):
            backed.verify(manifest.id)
    assert backed.verify(second.id).is_sound


@pytest.mark.parametrize("part", ["snapshot", "inventory", "papers"])
def test_any_bit_of_the_backups_own_objects_is_found_and_nothing_is_restored(
    backed, repository, manifest, part
):
    path, chance = _object(repository, getattr(manifest, part).object_id), random.Random(11)
    whole = path.read_bytes()
    for number in range(FLIPS):
        flip(path, chance.randrange(len(whole)))
        assert any(part in told for told in backed.verify().flaws), backed.verify().flaws
        if number % 20 == 0:
            assert _refused(backed, f"new{number}")
        path.write_bytes(whole)
    for content in (whole[:-1], whole[:100], b"", whole + b"x"):
        path.write_bytes(content)
        assert any(part in told for told in backed.verify().flaws)
    path.unlink()
    assert any(part in told for told in backed.verify().flaws)


def test_a_snapshot_of_another_backup_in_its_place_is_found(backed, repository, manifest):
    second = backed.create().manifest
    mine = _object(repository, second.snapshot.object_id)
    shutil.copy(_object(repository, manifest.snapshot.object_id), mine)
    assert any("snapshot" in told for told in backed.verify(second.id).flaws)
    assert "damaged" in _refused(backed, "new", backup_id=second.id)


def test_a_database_that_is_not_the_manifests_is_found_although_it_opens(backed, manifest):
    """Even who could seal: what the snapshot says of itself must be what was signed."""
    facts = manifest.facts

    def other(database, stream):
        while stream.read(1 << 16):
            pass
        return type(facts)(
            schema_version=facts.schema_version, head_seq=facts.head_seq + 1, head_hash=facts.head_hash,
            rows=facts.rows, house_key=facts.house_key, keks=facts.keks,
        )  # fmt: skip

    assert any("not the database" in told for told in backed.verify(check=other).flaws)


def test_an_object_that_was_changed_cut_swapped_or_taken_away_is_named(backed, repository, manifest):
    objects = [row.object_id for row in backed.house.rows("instances")]
    first, second = _object(repository, objects[0]), _object(repository, objects[1])
    whole, chance = first.read_bytes(), random.Random(3)
    for _ in range(FLIPS):
        flip(first, chance.randrange(len(whole)))
        assert any(objects[0] in told for told in backed.verify(read_data=True).flaws)
        first.write_bytes(whole)
    flip(first, len(whole) // 2)
    assert objects[0] in _refused(backed, "flipped")
    for content in (whole[:-1], whole[:10], whole + b"x", second.read_bytes()):
        first.write_bytes(content)
        found = backed.verify(read_data=True).flaws
        assert any(objects[0] in told for told in found), found
    first.write_bytes(whole[:-1])
    assert any(objects[0] in told for told in backed.verify().flaws), "a length shows without reading"
    assert objects[0] in _refused(backed, "cut")
    first.unlink()
    assert any(objects[0] in told for told in backed.verify().flaws)
    assert objects[0] in _refused(backed, "gone")


def test_the_next_backup_puts_a_damaged_copy_right(backed, repository):
    object_id = backed.house.rows("instances")[0].object_id
    path = _object(repository, object_id)
    path.write_bytes(path.read_bytes()[:-1])
    assert not backed.verify().is_sound
    assert backed.create().copied == 1
    assert backed.verify(read_data=True).is_sound


def test_a_list_that_was_changed_is_found_and_prunes_nothing(backed, repository, manifest):
    path = repository / "lists" / manifest.id
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert any("list" in told for told in backed.verify().flaws)
    with pytest.raises(ConsiliumError):
        backed.prune()


def test_a_register_of_another_hand_destroys_nothing(backed, manifest):
    case = backed.house.rows("cases")[0]
    line = json.dumps(
        {"at": "2026-01-01T00:00:00+00:00", "case": case.id, "holder": case.id, "mac": "0" * 64}
    )
    assert "not written by this house" in _refused(backed, "new", register=[line])


def test_the_report_is_signed_and_says_what_was_done(backed, manifest):
    new = backed.new_home("")
    assert new.restore().is_whole
    content = (new.folder / "audit" / f"restored-{manifest.id}.json").read_bytes()
    body, _, note = content.partition(b"\n\n")
    assert json.loads(body)["objects_verified"] == manifest.objects
    assert note.decode().startswith("consilium/restore\n")
