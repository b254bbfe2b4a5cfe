"""Makes a finished PDF one that archives take (PDF/A-2b): colour profile, fixed XMP, no dates, no producer, nothing else.

References
----------
ISO 19005-2 6.2.3 (output intent), 6.6.4 (XMP identification); ISO 15076-1 7.2 (profile header).
"""

from __future__ import annotations

import io
from functools import lru_cache

import pikepdf
from pikepdf import Array, Dictionary, Name, String
from PIL import ImageCms

#: The whole of the metadata: which part and level of ISO 19005 the file claims. No title, date, person or program.
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
    b"<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>\n"
    b'<?xpacket end="r"?>'
)
INTENT = "sRGB IEC61966-2.1"


@lru_cache(maxsize=1)
def srgb() -> bytes:
    """The sRGB profile, with a fixed date and no digest, so that equal documents become equal bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"".join(number.to_bytes(2, "big") for number in (2020, 1, 1, 0, 0, 0))
    profile[84:100] = bytes(16)
    return bytes(profile)


def archived(pdf: pikepdf.Pdf) -> bytes:
    """The bytes of a document as PDF/A-2b; what stands in its catalogue beside the pages is replaced."""
    for key in list(pdf.Root.keys()):
        if key not in ("/Type", "/Pages"):
            del pdf.Root[key]
    if "/Info" in pdf.trailer:
        del pdf.trailer["/Info"]
    metadata = pdf.make_stream(XMP)
    metadata.Type, metadata.Subtype = Name.Metadata, Name.XML
    profile = pdf.make_stream(srgb())
    profile.N = 3
    pdf.Root.Metadata = metadata
    pdf.Root.OutputIntents = Array(
        [
            pdf.make_indirect(
                Dictionary(
                    Type=Name.OutputIntent,
                    S=Name.GTS_PDFA1,
                    OutputConditionIdentifier=String(INTENT),
                    Info=String(INTENT),
                    DestOutputProfile=profile,
                )
            )
        ]
    )
    pdf.remove_unreferenced_resources()
    out = io.BytesIO()
    pdf.save(
        out,
        compress_streams=True,
        object_stream_mode=pikepdf.ObjectStreamMode.generate,
        deterministic_id=True,
        force_version="1.7",
        fix_metadata_version=False,
    )
    return out.getvalue()
