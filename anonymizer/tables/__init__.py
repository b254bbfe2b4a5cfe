"""The rules as data, each file naming its edition; no code decides anything here.

`make_tables.py` makes every ``.json`` file of this folder except the hand-kept ones (`extra_attributes.json`,
`sr_concepts.json`, `pixel_risk.json`).
"""
