from __future__ import annotations

import pytest

from anonymizer.charset import charset_for, other_readings
from anonymizer.known import Known
from tests.unit.anonymizer import made


@pytest.mark.parametrize(
    ("declared", "text", "codec"),
    [
        ("ISO_IR 100", "Åsa Öberg", "latin-1"),
        ("ISO_IR 192", "Åsa Öberg", "utf-8"),
        ("ISO_IR 144", "Иванова", "iso8859_5"),
        ("ISO_IR 101", "Wałęsa", "iso8859_2"),
        ("ISO_IR 126", "Παπαδόπουλος", "iso8859_7"),
        ("ISO_IR 127", "محمد", "iso8859_6"),
        ("ISO_IR 148", "Gülşen", "iso8859_9"),
        ("GB18030", "王小明", "gb18030"),
        ("GBK", "王小明", "gbk"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=\x1b$B;3ED\x1b(B", "ascii"),
    ],
)
def test_text_is_read_by_its_own_declaration(declared, text, codec):
    decoded, doubt = charset_for(declared).decode(text.encode(codec), "LO")
    assert decoded == (text if "\x1b" not in text else "Yamada^Tarou=山田")
    assert not doubt or declared.startswith("ISO_IR ")  # one byte a sign: any byte string can be read


@pytest.mark.parametrize("declared", ["", "ISO_IR 6", "ISO_IR 100", "bogus"])
def test_utf8_under_a_latin_declaration_is_read_as_utf8(declared):
    assert charset_for(declared).decode("Åsa Öberg".encode(), "LO")[0] == "Åsa Öberg"


def test_latin_under_no_declaration_is_read_as_latin():
    assert charset_for("").decode("Åsa Öberg".encode("latin-1"), "LO") == ("Åsa Öberg", "cp1252")
    assert charset_for("ISO_IR 192").decode("Åsa".encode("latin-1"), "LO") == ("Åsa", "cp1252")


def test_damaged_escapes_do_not_raise():
    for raw in (b"\x1b$B\xff\xff", b"\x1b", b"\xff\xfe\x1b$)C\x80"):
        for declared in ("", "\\ISO 2022 IR 87", "ISO 2022 IR 6\\ISO 2022 IR 149", "ISO_IR 13", "GB18030"):
            assert isinstance(charset_for(declared).decode(raw, "PN")[0], str)


def test_other_readings_include_what_was_meant():
    assert "Иванова" in other_readings("Иванова".encode("cp1251").decode("cp1252"), "cp1252")
    assert other_readings("Иванова", "cp1252") == []


def with_text(declared: str, name: bytes, comment: bytes) -> bytes:
    ds = made.ct()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.ImageComments = "N" * len(name), "C" * len(comment)
    ds.StudyDescription = ds.ReferringPhysicianName = ""
    del ds.InstitutionName
    content = made.encoded(ds).replace(b"N" * len(name), name).replace(b"C" * len(comment), comment)
    assert len(declared) <= 16
    return content.replace(b"CS\x0a\x00ISO_IR 100", b"CS\x0a\x00" + declared.ljust(10).encode()[:10])


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("ISO_IR 100", "utf-8"),
        ("ISO_IR 100", "latin-1"),
        ("ISO_IR 192", "utf-8"),
        ("ISO_IR 192", "latin-1"),
        ("", "latin-1"),
    ],
)
def test_a_swedish_name_is_found_whatever_the_declaration_says(declared, codec):
    name, comment = "Ångström^Åsa".encode(codec), "förstorad körtel, Åsa Ångström i dag".encode(codec)
    known = Known.from_json({"names": ["Ångström^Åsa"]})
    out = made.deidentified(with_text(declared, name, comment), known=known)
    shown = made.reread(out).ImageComments
    assert "förstorad körtel" in shown
    assert "ngstr" not in shown
    assert made.reread(out).SpecificCharacterSet == "ISO_IR 192"


def test_a_cyrillic_name_in_the_wrong_code_page_is_not_left():
    known = Known.from_json({"names": ["Иванова^Мария"]})
    raw = "Иванова, контроль".encode("cp1251")
    out = made.deidentified(with_text("ISO_IR 100", b"X^Y", raw), known=known)
    for codec in ("cp1251", "utf-8", "iso8859_5"):
        assert "Иванова".encode(codec) not in out.content
    assert raw.decode("cp1252").encode("utf-8")[:8] not in out.content


def test_japanese_groups_are_decoded_and_leave_no_name():
    ds = made.ct()
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.ImageComments = "胸部 山田太郎 正常"
    known = Known.from_json({"names": ["Yamada^Tarou", "山田^太郎"]})
    out = made.deidentified(ds, known=known)
    shown = made.reread(out)
    assert "山田" not in shown.ImageComments
    assert "胸部" in shown.ImageComments
    assert "=" not in str(shown.PatientName)


def test_an_item_may_declare_its_own_character_set():
    from pydicom.dataset import Dataset

    ds = made.ct()
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 144"
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99L", "грудь"
    ds.ProcedureCodeSequence = [item]
    out = made.reread(made.deidentified(ds))
    assert out.ProcedureCodeSequence[0].CodeMeaning == "грудь"
    assert "SpecificCharacterSet" not in out.ProcedureCodeSequence[0]


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        (["", "ISO 2022 IR 87"], "iso2022_jp", "頭痛"),
        (["", "ISO 2022 IR 87"], "iso2022_jp", "頭痛 1\\骨折"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "iso2022_jp", "骨折"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "shift_jis", "ﾐｷﾞﾋｻﾞ"),
        (["", "ISO 2022 IR 159"], "iso2022_jp_2", "頭痛"),
        (["", "ISO 2022 IR 149"], "iso2022_kr", "두통"),
        (["", "ISO 2022 IR 149"], "euc_kr", "두통"),
        (["", "ISO 2022 IR 58"], "gb2312", "头颅平扫"),
        (["", "ISO 2022 IR 100"], "latin_1", "förstorad körtel"),
        (["", "ISO 2022 IR 144"], "iso8859_5", "грудь слева"),
        ("ISO_IR 144", "iso8859_5", "грудь слева"),
        ("ISO_IR 126", "iso8859_7", "κεφαλή"),
        ("ISO_IR 127", "iso8859_6", "صداع"),
        ("ISO_IR 138", "iso8859_8", "כאב ראש"),
        ("ISO_IR 166", "tis_620", "ปวดหัว"),
        ("ISO_IR 101", "iso8859_2", "ból głowy"),
        ("ISO_IR 148", "iso8859_9", "baş ağrısı"),
        ("GB18030", "gb18030", "头颅平扫"),
        ("ISO_IR 192", "utf-8", "頭痛 두통 头颅"),
    ],
)
def test_a_clinical_text_stays_whatever_set_it_is_written_in(declared, codec, text):
    ds = made.ct()
    ds.SpecificCharacterSet = declared
    raw = b"\x1b$)C" + text.encode("euc_kr") if codec == "iso2022_kr" else text.encode(codec)
    for keyword, vr in (("StudyDescription", "LO"), ("ImageComments", "LT")):
        ds.add_new(keyword, vr, "")
        ds[keyword]._value = raw
    out = made.deidentified(made.encoded(ds))
    shown = made.reread(out)
    assert shown.StudyDescription == (text.split("\\") if "\\" in text else text)
    assert shown.ImageComments == text
    assert b"\x1b$" not in out.content


@pytest.mark.parametrize(
    ("declared", "codec", "name", "written", "kept"),
    [
        (["", "ISO 2022 IR 149"], "euc_kr", "황보^민준", b"\x1b$)C%s", "뇌"),
        (["", "ISO 2022 IR 58"], "gb2312", "张^小东", b"%s", "头颅"),
        ("ISO_IR 100", "iso8859_5", "Кузнецова^Ольга", b"%s", "лёгкие"),
        ("ISO_IR 100", "koi8_r", "Кузнецова^Ольга", b"%s", "легкие"),
        ("ISO_IR 144", "cp1251", "Кузнецова^Ольга", b"%s", "легкие"),
        ("ISO_IR 100", "iso8859_6", "الحسيني^فاطمة", b"%s", "صداع"),
        ("ISO_IR 100", "cp1256", "الحسيني^فاطمة", b"%s", "صداع"),
        ("ISO_IR 100", "cp1255", "אברמוביץ^יעל", b"%s", "ראש"),
        ("ISO_IR 100", "euc_jp", "山下^太郎", b"%s", "頭痛"),
        ("ISO_IR 100", "iso8859_2", "Żuraw^Ewa", b"%s", "głowa"),
        ("ISO_IR 100", "iso8859_9", "Gülşen^Ayşe", b"%s", "baş"),
        ("ISO_IR 100", "cp1257", "Kļaviņš^Jānis", b"%s", "galva"),
        ("ISO_IR 100", "cp850", "Ångström^Åsa", b"%s", "knä"),
    ],
)
def test_a_known_name_is_read_where_the_set_is_told_wrongly_or_not_at_all(
    declared, codec, name, written, kept
):
    family, _, given = name.partition("^")
    ds = made.ct()
    ds.SpecificCharacterSet = declared
    ds.add_new("ImageComments", "LT", "")
    ds["ImageComments"]._value = written % f"{kept}\r\n{family} {given}, {kept}".encode(codec)
    out = made.deidentified(made.encoded(ds), known=Known.from_json({"names": [name]}))
    shown = made.reread(out).ImageComments
    assert family not in shown
    assert given not in shown
    assert shown.count(kept) == 2
    assert family.encode(codec) not in out.content
    assert family.encode(codec).decode("latin-1").encode("utf-8") not in out.content
