"""A member of staff of a journey house who has signed in: what her browser would hold."""

from __future__ import annotations

import pyotp

from gateway.domain.people import Actor, Role
from gateway.journeys.sign_in import add_person, sign_in
from tests.fakes.journey_house import JourneyHouse

_WORDS = "a sentence that is a good password"
_ROOT = Actor(kind="operator", id="test")


def person(house: JourneyHouse, role: Role, email: str) -> str:
    """Add somebody and return a token of hers."""
    ports = house.ports("records", "store", "clock", "random")
    made = add_person(role=role, email=email, by=_ROOT, password=_WORDS, **ports).person
    code = pyotp.TOTP(made.totp_seed).at(int(house.clock.now().timestamp()))
    token, _ = sign_in(
        email=email,
        password=_WORDS,
        code=code,
        roles=(role,),
        address="127.0.0.1",
        policy=house.policy,
        **ports,
    )
    return token
