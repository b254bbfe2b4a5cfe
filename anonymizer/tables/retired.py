"""Storage classes that the map of IODs lacks, and the IOD whose types apply to them; no action is decided here.

References
----------
PS3.6 Table A-1; PS3.3 Annex A. Retired classes that archives still hold take the types of their successor.
"""

from __future__ import annotations

SUCCESSORS = {
    "1.2.840.10008.5.1.1.29": "secondary-capture-image",
    "1.2.840.10008.5.1.1.30": "secondary-capture-image",
    "1.2.840.10008.5.1.4.1.1.3": "ultrasound-multi-frame-image",
    "1.2.840.10008.5.1.4.1.1.5": "nuclear-medicine-image",
    "1.2.840.10008.5.1.4.1.1.6": "ultrasound-image",
    "1.2.840.10008.5.1.4.1.1.12.3": "x-ray-angiographic-image",
    "1.2.840.10008.5.1.4.1.1.77.1": "vl-photographic-image",
    "1.2.840.10008.5.1.4.1.1.77.2": "vl-photographic-image",
    "1.2.840.10008.5.1.4.1.1.88.1": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.2": "basic-text-sr",
    "1.2.840.10008.5.1.4.1.1.88.3": "enhanced-sr",
    "1.2.840.10008.5.1.4.1.1.88.4": "comprehensive-sr",
    "1.2.840.10008.5.1.4.1.1.9.1": "general-ecg",
    # Newer than the map at hand (PS3.6 2026c): "for processing" kinds of images that it has.
    "1.2.840.10008.5.1.4.1.1.2.3": "ct-image",
    "1.2.840.10008.5.1.4.1.1.2.4": "enhanced-ct-image",
    "1.2.840.10008.5.1.4.1.1.2.5": "legacy-converted-enhanced-ct-image",
}
