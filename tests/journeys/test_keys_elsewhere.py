"""E11: a house whose master keys are in a key service: what it does when that does not answer, and when it does again."""

import pytest

from dicom_node import status
from gateway.domain.errors import UnavailableError
from gateway.doors.dimse import DimseDoor
from gateway.doors.http.problems import problem_of_store
from gateway.journeys.rotate_keys import rotate_keys
from gateway.journeys.verify_originals import OriginalsOf
from storage import KeyServiceError, MasterKeys, open_keys
from tests import factories
from tests.fakes.journey_house import DESK, arrival, open_house
from tests.fakes.vault import TransitKey, Vault


@pytest.fixture
def vault():
    server = Vault()
    server.keys["house"] = TransitKey()
    yield server
    server.close()


@pytest.fixture
def keys(vault, tmp_path):
    (tmp_path / "token").write_text("root")
    (tmp_path / "token").chmod(0o600)
    return open_keys(f"vault+{vault.address}/transit/house?token-file={tmp_path / 'token'}&timeout-s=0.5")


@pytest.fixture
def house(keys, tmp_path):
    made = open_house(tmp_path, keys=keys)
    yield made
    made.close()


def forget_unwrapped(house, keys):
    """As five minutes later, or in another process."""
    for holder in {key.holder for key in house.store._cache._entries}:
        house.store.forget_holder(holder)
    keys._state = None


def outages(vault):
    def back():
        vault.is_sealed, vault.status, vault.tokens = False, 0, {"root"}

    for spoil in (
        lambda: setattr(vault, "is_sealed", True),
        lambda: setattr(vault, "status", 502),
        lambda: vault.tokens.clear(),  # noqa: PLW0108 - of the set that stands then
    ):
        spoil()
        yield
        back()


def test_study_that_comes_during_an_outage_is_refused_for_now_and_kept_afterwards(house, vault, keys):
    door = DimseDoor(house.as_house())
    content = factories.ct_instance()
    for _ in outages(vault):
        forget_unwrapped(house, keys)
        said = door.receive(arrival(content))
        assert said.status == status.OUT_OF_RESOURCES == 0xA700
        assert said.comment == "key service does not answer, send again later"
        assert house.rows("instances") == []
    assert door.receive(arrival(content)).status == status.SUCCESS


def test_next_image_of_a_study_at_hand_needs_no_key_service(house, vault):
    door = DimseDoor(house.as_house())
    first, second = factories.ct_instances(2)
    assert door.receive(arrival(first)).status == status.SUCCESS
    vault.is_sealed = True
    assert door.receive(arrival(second)).status == status.SUCCESS


def test_web_says_503_to_an_outage():
    assert problem_of_store(KeyServiceError("sealed")).status == 503


def test_outage_is_never_told_as_a_lost_image(house, vault, keys):
    content = factories.ct_instance()
    sent = arrival(content)
    assert DimseDoor(house.as_house()).receive(sent).status == status.SUCCESS
    asked = [[sent.sop_class_uid, sent.sop_instance_uid]]
    for _ in outages(vault):
        forget_unwrapped(house, keys)
        with pytest.raises((UnavailableError, KeyServiceError)):
            list(OriginalsOf("PACS", records=house.records, store=house.store).look(asked))
    assert [
        looked.reason for looked in OriginalsOf("PACS", records=house.records, store=house.store).look(asked)
    ] == [""]


def test_rotation_in_the_key_service_goes_through_and_images_stay_readable(house, vault, keys):
    sent = arrival(factories.ct_instance())
    assert DimseDoor(house.as_house()).receive(sent).status == status.SUCCESS
    masters = MasterKeys(keys, tenant="consilium")
    asked_before = len(vault.asked)
    done = rotate_keys(
        by=DESK, masters=masters, pause=lambda _: None, **house.ports("records", "jobs", "clock")
    )
    assert (done.kek.kek_version, done.unopened) == (2, 0)
    assert done.moved >= 2
    assert len(vault.asked) - asked_before < 40  # in batches, not key by key
    masters.destroy(masters.versions()[0])
    house.clock.forward(seconds=600)
    forget_unwrapped(house, keys)
    house.records._ring._known.clear()
    asked = [[sent.sop_class_uid, sent.sop_instance_uid]]
    looked = OriginalsOf("PACS", records=house.records, store=house.store).look(asked)
    assert [one.reason for one in looked] == [""]
