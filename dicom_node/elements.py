"""How element headers look in every encoding (PS3.5 7.1, 7.5), as constants for those who walk them; nothing is read here."""

from __future__ import annotations

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
# PS3.5 7.1.2: all others carry two reserved bytes and a 32-bit length; so does every VR yet to be invented.
SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
