"""Letters as text: TXT in four encodings, HTML, CDA, an e-mail and an HL7 message."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from email.message import EmailMessage
from xml.sax.saxutils import escape, quoteattr

from tests.corpus.paper import scans
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import Letter, Line


def text_in(encoding: str, *, line_end: str = "\n") -> Callable[[Letter, Hidden], bytes]:
    """A plain letter in an encoding that has all its signs."""

    def write(letter: Letter, hidden: Hidden) -> bytes:
        return letter.text.replace("\n", line_end).encode(encoding)

    return write


def broken_lines(letter: Letter, hidden: Hidden) -> bytes:
    """Names hyphenated at a line's end and spaced out in the heading, as typewritten letters have them."""
    name = hidden.patient
    family = name.split()[-1]
    spaced = " ".join(family.upper())
    half = len(family) // 2
    return f"{spaced}\n\n{letter.text}\n{name[: -len(family)]}{family[:half]}-\n{family[half:]}\n".encode()


def page(letter: Letter, hidden: Hidden) -> bytes:
    """A web page with everything that a browser does not show."""
    picture = base64.b64encode(scans.encoded(scans.label(letter), "PNG")).decode()
    body: list[str] = []
    for line in letter.lines:
        if line.heading:
            body.append(f"<h2>{_split(line)}</h2>")
        elif line.labelled:
            name, value = line.labelled
            body.append(f"<table><tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr></table>")
        else:
            body.append(f"<p>{_split(line)}</p>")
    return f"""<!DOCTYPE html><html lang="{letter.language}"><head><meta charset="utf-8">
<title>{html.escape(hidden.patient)}</title><meta name="author" content="{html.escape(hidden.author)}">
<style>.p::after {{ content: "{html.escape(hidden.relative)}" }}</style>
<script type="application/json">{{"patient": "{hidden.number}"}}</script></head>
<body data-patient="{html.escape(hidden.number)}" onload="show('{html.escape(hidden.street)}')">
<!-- {html.escape(hidden.sentence)} -->
{chr(10).join(body)}
<p style="display:none">{html.escape(hidden.sentence)}</p><p hidden>{html.escape(hidden.relative)}</p>
<img alt="{html.escape(hidden.patient)}" title="{html.escape(hidden.author)}" src="data:image/png;base64,{picture}">
<input type="hidden" name="pnr" value="{html.escape(hidden.number)}"><a href="mailto:{html.escape(hidden.relative)}">+</a>
<noscript>{html.escape(hidden.street)}</noscript><template>{html.escape(hidden.relative)}</template></body></html>
""".encode()


def _split(line: Line) -> str:
    """Every planted run in two tags, half of it in character references."""
    parts: list[str] = []
    for text, mark in line.runs:
        if mark in {"", "clinical", "date"}:
            parts.append(html.escape(text))
            continue
        half = len(text) // 2
        coded = "".join(f"&#{ord(sign)};" for sign in text[half:])
        parts.append(f"<b>{html.escape(text[:half])}</b><i>{coded}</i>")
    return "".join(parts)


def cda(letter: Letter, hidden: Hidden) -> bytes:
    """A clinical document (HL7 CDA R2) with header, extension attributes and narrative tables."""
    rows = "".join(
        f"<tr><th>{escape(line.labelled[0])}</th><td>{escape(line.labelled[1])}</td></tr>"
        for line in letter.lines
        if line.labelled
    )
    prose = "".join(
        f'<paragraph ID="p{n}">{escape(line.text)}</paragraph>'
        for n, line in enumerate(letter.lines)
        if line.text and not line.labelled
    )
    name, number, born = hidden.patient, hidden.number, hidden.born.replace("-", "")
    given, _, family = name.partition(" ")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<!-- {escape(hidden.sentence.replace("--", ""))} -->
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id root="1.2.752.129.2.1.2" extension={quoteattr(number)}/>
<code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summarization of Episode Note"/>
<title>{escape(name)}</title><effectiveTime value="{born}"/><confidentialityCode code="N"/><languageCode code="{letter.language}"/>
<recordTarget><patientRole><id root="1.2.752.129.2.1.3.1" extension={quoteattr(number)} assigningAuthorityName={quoteattr(hidden.author)}/>
<addr use="H"><streetAddressLine>{escape(hidden.street)}</streetAddressLine></addr><telecom value={quoteattr("tel:" + number)}/>
<patient><name><given>{escape(given)}</given><family>{escape(family)}</family></name><birthTime value="{born}"/>
<guardian><guardianPerson><name>{escape(hidden.relative)}</name></guardianPerson></guardian></patient></patientRole></recordTarget>
<author><time value="20240101"/><assignedAuthor><id nullFlavor="NI"/><assignedPerson><name>{escape(hidden.author)}</name></assignedPerson>
</assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.752.1" extension={quoteattr(hidden.author)}/>
<name>{escape(hidden.street)}</name></representedCustodianOrganization></assignedCustodian></custodian>
<component><structuredBody><component><section><title>{escape(letter.lines[0].text)}</title>
<text><table><tbody>{rows}</tbody></table>{prose}</text>
<entry><observation classCode="OBS" moodCode="EVN"><code code="8480-6" displayName={quoteattr(hidden.relative)}/>
<value xsi:type="ST">{escape(hidden.sentence)}</value></observation></entry></section></component></structuredBody></component>
</ClinicalDocument>
""".encode()


def mail(letter: Letter, hidden: Hidden) -> bytes:
    """An e-mail that carries the letter."""
    message = EmailMessage()
    message["From"], message["To"] = f"{hidden.author} <a@example.org>", "mdt@example.org"
    message["Subject"] = f"{hidden.patient} {hidden.number}"
    message.set_content(letter.text)
    message.add_attachment(
        letter.text.encode(), maintype="text", subtype="plain", filename=f"{hidden.patient}.txt"
    )
    return message.as_bytes()


def hl7(letter: Letter, hidden: Hidden) -> bytes:
    """A result message (HL7 2.5) that carries the letter in its OBX segments."""
    given, _, family = hidden.patient.partition(" ")
    segments = [
        "MSH|^~\\&|LAB|HOSP|MDT|CENTRE|20240311||ORU^R01|118734|P|2.5|||||||UNICODE UTF-8",
        f"PID|1||{hidden.number}^^^HOSP||{family}^{given}||{hidden.born.replace('-', '')}|||{hidden.street}",
        f"NK1|1|{hidden.relative}|MTH",
        f"OBR|1||118734|11529-5||||||||||||{hidden.author}",
    ]
    segments += [f"OBX|{n}|TX|11529-5||{line.text}" for n, line in enumerate(letter.lines, 1) if line.text]
    return "\r".join(segments).encode()
