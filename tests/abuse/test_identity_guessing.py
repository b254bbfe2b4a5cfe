"""Guessing links, codes and sessions, and looking through links as mail scanners do (#15, #16, #18)."""

import statistics
import time

import pytest

from gateway.domain.errors import ForbiddenError, InvalidError
from gateway.journeys.prove_identity import (
    LinkRefusedError,
    live_session,
    make_link,
    open_link,
    send_code,
    verify_code,
)
from tests.fakes.journey_house import DESK, open_house

pytestmark = pytest.mark.abuse


@pytest.fixture
def house(tmp_path):
    made = open_house(tmp_path)
    yield made
    made.close()


def _link(house):
    ports = house.ports("records", "clock", "random", "policy")
    return make_link(ref=house.case().ref, by=DESK, **ports)[1].rsplit("#", 1)[1]


def test_two_thousand_guessed_sessions_are_none_and_near_misses_neither(house):
    token = _link(house)
    ports = house.ports("records", "clock", "policy")
    pre = open_link(token, address="", random=house.random, **ports).token
    near = [pre[:-1] + c for c in "0123456789abcdef" if c != pre[-1]] + [
        pre.upper() + "x",
        pre + "0",
        pre[:-1],
    ]
    guesses = [house.random(32).hex() for _ in range(2000)] + near + [token, "", "'; DROP TABLE session; --"]
    for guess in guesses:
        with pytest.raises(ForbiddenError):
            live_session(guess, kind="patient", **ports)
    assert live_session(pre, kind="pre", **ports)


def test_an_unknown_and_an_expired_link_take_the_same_time_and_the_same_words(house):
    ports = house.ports("records", "clock", "random", "policy")
    expired = _link(house)
    house.clock.forward(days=31)
    times = {"unknown": [], "expired": []}
    for _ in range(150):
        for name, token in (("unknown", house.random(32).hex()), ("expired", expired)):
            began = time.perf_counter()
            with pytest.raises(LinkRefusedError):
                open_link(token, address="", **ports)
            times[name].append(time.perf_counter() - began)
    difference = abs(statistics.median(times["unknown"]) - statistics.median(times["expired"]))
    assert difference < 0.001, difference


def test_all_tries_of_a_links_whole_life_are_fifty(house):
    ports = house.ports("records", "clock", "random", "policy")
    token, compared = _link(house), 0
    pre = open_link(token, address="", **ports).token
    for _ in range(40):  # an attacker with the link, patient over days
        try:
            pre = open_link(token, address="", **ports).token
            send_code(pre, address="", **ports, **house.ports("store", "texter"))
        except ForbiddenError:
            break
        except Exception:
            house.clock.forward(hours=6)
            continue
        sent = "".join(c for c in house.texter.sent[-1]["text"].split(".")[0] if c.isdigit())
        wrong = f"{(int(sent) + 1) % 10**8:08d}"
        for _ in range(5):
            try:
                verify_code(pre, wrong, address="", **ports, store=house.store)
            except InvalidError:
                compared += 1
            except ForbiddenError:
                break
        house.clock.forward(hours=1)
    assert compared == 50
    with pytest.raises(LinkRefusedError):
        open_link(token, address="", **ports)


def test_a_scanner_that_opens_a_link_a_hundred_times_spends_nothing(house):
    ports = house.ports("records", "clock", "random", "policy")
    token = _link(house)
    for _ in range(100):
        open_link(token, address="", **ports)
    assert house.texter.sent == []
    (link,) = house.rows("links")
    assert (link.fails, link.revoked_at) == (0, None)
