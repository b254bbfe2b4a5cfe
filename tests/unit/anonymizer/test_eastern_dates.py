"""Dates as Chinese, Japanese and Korean write them: they move, the date of birth goes, durations and vertebrae stay."""

from __future__ import annotations

import time
from datetime import date

import pytest

from anonymizer.known import Known
from anonymizer.text import Scrubber

BORN = Known(birth_date=date(1958, 1, 30))
SHIFTING = Scrubber(BORN, shift_days=14)


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("2021年3月25日 胸部CT", "2021年4月8日 胸部CT"),
        ("2021年03月25日", "2021年04月08日"),
        ("2021 年 3 月 25 日", "2021 年 4 月 8 日"),
        ("2021年3月25号复查", "2021年4月8号复查"),
        ("２０２１年３月２５日", "２０２１年４月８日"),
        ("二〇二一年三月二十五日", "二〇二一年四月八日"),
        ("二〇二一年十二月三十日", "二〇二二年一月十三日"),
        ("2021年3月25", "2021年4月8"),
        ("19年3月6日", "19年3月20日"),
        ("3月25日复查", "4月8日复查"),
        ("2019年12月25日至2020年1月3日", "2020年1月8日至2020年1月17日"),
        ("107年3月25日", "107年4月8日"),
        ("民國107年12月25日", "民國108年1月8日"),
        ("平成31年3月6日 撮影", "平成31年3月20日 撮影"),
        ("平成31年4月25日", "2019年5月9日"),
        ("昭和六十三年三月六日", "昭和六十三年三月二十日"),
        ("令和元年5月1日", "令和元年5月15日"),
        ("令和元年12月25日", "令和2年1月8日"),
        ("H31.3.6 撮影", "H31.3.20 撮影"),
        ("H31/03/06 撮影", "H31/03/20 撮影"),
        ("H31.4.25 撮影", "2019.5.9 撮影"),
        ("2020년 5월 21일 검사", "2020년 6월 4일 검사"),
        ("2020년05월21일", "2020년06월04일"),
        ("5월 21일 검사", "6월 4일 검사"),
        ("2020. 5. 21. 검사", "2020. 6. 4. 검사"),
        ("검사 20.05.21", "검사 20.06.04"),
        ("前回 21/3/25", "前回 21/4/8"),
        ("前片 2021-3-25", "前片 2021-4-8"),
    ],
)
def test_they_move_in_their_own_form(text: str, shifted: str) -> None:
    assert SHIFTING.clean(text).text == shifted


@pytest.mark.parametrize("text", ["2021年3月", "2020년 5월", "令和2年5月"])
def test_months_move_by_the_days_of_the_case(text: str) -> None:
    moved = Scrubber(BORN, shift_days=62).clean(text).text
    assert moved in ("2021年5月", "2020년 7월", "令和2年7月")


@pytest.mark.parametrize(
    "text",
    [
        "1958年1月30日", "1958年01月30日", "１９５８年１月３０日", "一九五八年一月三十日", "58年1月30日", "民國47年1月30日", "47年1月30日",
        "昭和33年1月30日", "昭和三十三年一月三十日", "S33年1月30日", "S33.1.30", "S33/01/30", "1958년 1월 30일", "1958년01월30일", "1958年1月", "1958. 1. 30", "58.1.30", "58/01/30",
        "33年1月30日",
    ],
)  # fmt: skip
@pytest.mark.parametrize("days", [0, 14])
def test_the_date_of_birth_goes_and_is_known_to_the_verifier(text: str, days: int) -> None:
    scrubber = Scrubber(BORN, shift_days=days)
    assert scrubber.clean(f"患者 {text} 生").text == "患者 [date] 生"
    assert scrubber.known_left(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("出生日期:1976年6月18日 肝癌", "出生日期:[date] 肝癌"),
        ("生年月日 昭和51年6月18日 胃癌", "生年月日 [date] 胃癌"),
        ("박 58. 1. 30. 남", "박 [date]. 남"),
        ("1976年6月18日生 男性", "[date]生 男性"),
        ("1976年6月18日出生", "[date]出生"),
        ("생년월일 1976년 6월 18일 간암", "생년월일 [date] 간암"),
        ("1976년 6월 18일생", "[date]생"),
        ("2021年3月5日生化检查", "2021年3月19日生化检查"),
        ("2021年3月5日生検", "2021年3月19日生検"),
    ],
)
def test_a_date_that_is_said_to_be_of_birth_goes_unknown(text: str, clean: str) -> None:
    assert SHIFTING.clean(text).text == clean


def test_a_date_that_would_land_on_the_birth_date_goes() -> None:
    assert SHIFTING.clean("1958年1月16日").text == "[date]"


@pytest.mark.parametrize(
    "text",
    ["术后2年3个月", "3個月", "10年3月", "3月", "2021年13月5日", "2021年2月30日", "S1/2/3 の腫瘍", "T1.2.3 stage", "R5/6/7 骨折", "C5/6", "3개월 후", "5월"],
)  # fmt: skip
def test_durations_and_vertebrae_stay(text: str) -> None:
    assert SHIFTING.clean(text).text == text


def test_a_measure_behind_a_month_stays() -> None:
    assert SHIFTING.clean("2021年3月5.2cm, 2021年3月 5mm结节").text == "2021年3月5.2cm, 2021年3月 5mm结节"


def test_the_date_of_birth_is_looked_for_in_bytes() -> None:
    needles = Scrubber(BORN).byte_needles()
    forms = ("1958年1月30日", "1958年01月30日", "昭和33年1月30日", "1958년 1월 30일")
    assert all(form.encode() in needles for form in forms)


@pytest.mark.parametrize(
    "piece", ["1年", "19", "一", "2021年3月", "월1", "月 ", "S1.", "民國1", "東京", "1号", "電話0-"]
)
def test_a_long_text_of_halves_is_read_in_time(piece: str) -> None:
    known = Known.from_json({"birth_date": "1958-01-30", "addresses": ["東京都東京区東京1-1-1"]})
    started = time.perf_counter()
    Scrubber(known, shift_days=3).clean(piece * 20_000)
    assert time.perf_counter() - started < 20
