"""The desk's words for the end of a case: grounds, what was just done, refusals; no logic."""

from __future__ import annotations

from gateway.doors.http import N_

GROUNDS: dict[str, str] = {
    "no_longer_needed": N_("It is not needed any more (GDPR 17(1)(a))"),
    "consent_withdrawn": N_("The patient has withdrawn consent (GDPR 17(1)(b))"),
    "objection": N_("The patient has objected (GDPR 17(1)(c))"),
    "unlawful": N_("It should not have been processed (GDPR 17(1)(d))"),
    "legal_duty": N_("A law or an authority demands it (GDPR 17(1)(e))"),
    "mistake": N_("Opened by mistake or for the wrong patient (GDPR 5(1)(d))"),
}
OTHER_GROUND = N_("Forgotten again after a restore")
DONE: dict[str, str] = {
    "held": N_("The case is under a legal hold. Nobody can forget it."),
    "unheld": N_("The legal hold is ended."),
    "forgotten": N_("The case is forgotten. This is its certificate."),
}
REFUSALS: tuple[str, ...] = (
    N_("the case is under a legal hold, and nobody may forget it"),
    N_("Ask who placed the hold; `consilium case unhold REF --reason …` ends it."),
    N_("the case is under a legal hold already"),
    N_("`consilium case show` tells since when; end that one before you place another."),
    N_("the case is under no legal hold"),
    N_("There is nothing to end; check the reference."),
    N_("a hold is placed and ended with a reason"),
    N_("Say why, in at most 500 signs: a file number or who asked for it."),
    N_("this case was forgotten already"),
    N_("`consilium case certificate REF` gives its certificate."),
    N_("forgetting cannot be undone"),
    N_("Repeat the reference of the case to confirm."),
)
