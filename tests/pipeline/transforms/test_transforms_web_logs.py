"""The logs of web servers: pages and forms are events; pictures, errors and other methods are excluded by rules."""

from datetime import UTC, date
from pathlib import Path

import pytest

from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import canonical_lines, with_reason
from pipeline.transforms.parse import parse_lines

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
AT = "[05/Jan/2026:10:00:00 +0100]"
COMBINED = {
    f'192.0.2.7 - - {AT} "GET /garden/spade?ref=home HTTP/1.1" 200 5120 "https://shop.example/" "{FIREFOX}"': None,
    f'192.0.2.7 - ann {AT} "GET /garden HTTP/2.0" 200 5120 "-" "{FIREFOX}"': None,
    f'192.0.2.7 - ann lee {AT} "POST /basket HTTP/1.1" 200 - "-" "{FIREFOX}" "203.0.113.9" 0.042': None,
    f'2001:db8::7 - - {AT} "GET /caf%C3%A9/cr%c3%a8me%20br%FBl%E9e HTTP/1.1" 304 0 "-" "{FIREFOX}"': None,
    f'2001:db8::7 - - {AT} "GET / HTTP/1.1" 200 9 "-" "Agent \\"quoted\\" \\\\ 1.0"': None,
    f'2001:db8::7 - - {AT} "GET /a%2 HTTP/1.1" 200 9 "-" "-"': None,
    f'2001:db8::7 - - {AT} "GET /old" 200 9 "-" "-"': None,
    f'192.0.2.7 - - {AT} "GET /say?it=\\"no\\" HTTP/1.1" 200 9 "-" "{"x" * 1_900}"': None,
    f'192.0.2.7 - - {AT} "GET /garden/with blank HTTP/1.1" 200 9 "-" "{FIREFOX}"': None,
    f'192.0.2.7 - - {AT} "GET /img/spade.JPG?v=2 HTTP/1.1" 200 51200 "-" "{FIREFOX}"': "static_asset",
    f'192.0.2.7 - - {AT} "GET /favicon.ico HTTP/1.1" 404 9 "-" "{FIREFOX}"': "error",
    f'192.0.2.7 - - {AT} "GET /api HTTP/1.1" 503 9 "-" "{FIREFOX}"': "error",
    f'198.51.100.1 - - {AT} "\\x16\\x03\\x01\\x02" 400 226 "-" "-"': "error",
    f'198.51.100.1 - - {AT} "-" 408 0 "-" "-"': "error",
    f'198.51.100.1 - - {AT} "" 200 0 "-" "-"': "broken_request",
    f'198.51.100.1 - - {AT} "\\x16\\x03\\x01\\x02" 200 226 "-" "-"': "broken_request",
    f'192.0.2.7 - - {AT} "HEAD / HTTP/1.1" 200 9 "-" "{FIREFOX}"': "other_method",
    f'192.0.2.7 - - {AT} "OPTIONS * HTTP/1.0" 200 9 "-" "{FIREFOX}"': "other_method",
    f'192.0.2.7 - - {AT} "GET /garden HTTP/1.1" 301 9 "-" "{FIREFOX}"': "redirect",
    '192.0.2.7 - - [31/Feb/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 9 "-" "-"': "missing_event_at",
    '192.0.2.7 - - [05/Feb/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 9 "-" "-"': "event_in_future",
    f'192.0.2.7 - - {AT} "GET / HTTP/1.1" 200 9': "unparsable",
    f'192.0.2.7 - - {AT} "GET / HTTP/1.1" 200 9 "-" "cut in the mid': "unparsable",
    f'192.0.2.7 - - {AT} "GET /say?it=\\"no\\" HTTP/1.1" 200 9 "-" "{"x" * 50_000}"': "too_large",
    "::1 - -": "unparsable",
}
LINES = "source STRING, arrival_day DATE, file STRING, line BIGINT, text STRING, header STRING"


def test_a_combined_log_is_read_and_requests_without_a_page_are_excluded(frame_of) -> None:
    source = load_source(source_file("combined"))
    alike = {"source": "combined", "arrival_day": date(2026, 1, 5), "file": "access.log"}
    lines = frame_of([{**alike, "line": number, "text": text} for number, text in enumerate(COMBINED, 1)], LINES)
    validated = with_reason(canonical_lines(lines, source), source.event_types, 1)
    rows = sorted(validated.collect(), key=lambda row: row.line)
    assert {row.text: row.reason for row in rows} == COMBINED

    first, ann, ann_lee, cafe, home, _, _, said, *_ = rows
    assert (first.user_id, first.device_id, first.ip) == (None, f"192.0.2.7 {FIREFOX}", "192.0.2.7")
    assert first.event_at.astimezone(UTC).isoformat() == "2026-01-05T09:00:00+00:00"
    assert (first.event_type, first.item_id, first.tags) == ("view", "/garden/spade", ["garden"])
    assert (first.url, first.referrer) == ("/garden/spade?ref=home", "https://shop.example/")
    assert (ann.user_id, ann.tags, ann.referrer) == ("ann", ["garden"], None)
    assert (ann_lee.user_id, ann_lee.event_type, ann_lee.user_agent) == ("ann lee", "submit", FIREFOX)
    assert (cafe.ip, cafe.tags, home.tags, home.user_agent) == (
        "2001:db8::7", ["café"], [], 'Agent \\"quoted\\" \\\\ 1.0',
    )  # fmt: skip
    assert (said.item_id, len(said.user_agent)) == ("/say", 1_900)
    assert [row.item_id for row in rows[5:9]] == ["/a%2", "/old", "/say", "/garden/with"]
    assert [row.user_agent for row in rows[5:7]] == [None, None]


# What stands before the time of a line: host, address, user and device, or the reason why the line is rejected.
FIRST_FIELDS: dict[str, tuple[str, str, str | None, str | None] | str] = {
    "192.0.2.7 - -": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "192.0.2.7 - Ann Lee": ("", "192.0.2.7", "Ann Lee", "192.0.2.7 Firefox"),
    "192.0.2.7 - Ann  Lee-Roy": ("", "192.0.2.7", "Ann  Lee-Roy", "192.0.2.7 Firefox"),
    '192.0.2.7 - O\\"Hara': ("", "192.0.2.7", 'O\\"Hara', "192.0.2.7 Firefox"),
    '192.0.2.7 - ""': ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "192.0.2.7 - ": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "192.0.2.7 identd ann": ("", "192.0.2.7", "ann", "192.0.2.7 Firefox"),
    "192.0.2.7 shop.example ann": ("", "192.0.2.7", "ann", "192.0.2.7 Firefox"),
    "192.0.2.7:51234 - -": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "pc7.example.net - -": ("", "pc7.example.net", None, "pc7.example.net Firefox"),
    "pc7.example.net - Ann Lee": ("", "pc7.example.net", "Ann Lee", "pc7.example.net Firefox"),
    "2001:db8::7 - -": ("", "2001:db8::7", None, "2001:db8::7 Firefox"),
    "2001:db8:0:0:0:0:0:7 - ann": ("", "2001:db8:0:0:0:0:0:7", "ann", "2001:db8:0:0:0:0:0:7 Firefox"),
    "::1 - -": ("", "::1", None, "::1 Firefox"),
    # virtual hosts
    "shop.example:443 192.0.2.7 - -": ("shop.example:443", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "shop.example:443 192.0.2.7 - Ann Lee": ("shop.example:443", "192.0.2.7", "Ann Lee", "192.0.2.7 Firefox"),
    'shop.example:443 192.0.2.7 - ""': ("shop.example:443", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "shop.example:443 2001:db8::7 - -": ("shop.example:443", "2001:db8::7", None, "2001:db8::7 Firefox"),
    "shop.example:80 pc7.example.net - -": ("shop.example:80", "pc7.example.net", None, "pc7.example.net Firefox"),
    "shop.example 192.0.2.7 - ann": ("shop.example", "192.0.2.7", "ann", "192.0.2.7 Firefox"),
    "localhost 2001:db8::7 - -": ("localhost", "2001:db8::7", None, "2001:db8::7 Firefox"),
    "_ 192.0.2.7 - -": ("_", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "10.0.0.5:80 192.0.2.7 - -": ("10.0.0.5:80", "192.0.2.7", None, "192.0.2.7 Firefox"),
    # forwarded addresses
    "192.0.2.7, 198.51.100.1 - -": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "192.0.2.7,198.51.100.1,10.0.0.1 - Ann Lee": ("", "192.0.2.7", "Ann Lee", "192.0.2.7 Firefox"),
    "2001:db8::7, 198.51.100.1 - -": ("", "2001:db8::7", None, "2001:db8::7 Firefox"),
    "192.0.2.7:51234, 198.51.100.1:80 - -": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "unknown, 192.0.2.7 - -": ("", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "shop.example:443 192.0.2.7, 198.51.100.1 - -": ("shop.example:443", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "shop.example 192.0.2.7, 198.51.100.1 - -": ("shop.example", "192.0.2.7", None, "192.0.2.7 Firefox"),
    "10.0.0.8, 192.0.2.7 - -": ("", "10.0.0.8", None, "10.0.0.8 , 192.0.2.7 Firefox"),
    "10.0.0.8, 198.51.100.1 - -": ("", "10.0.0.8", None, "10.0.0.8 , 198.51.100.1 Firefox"),
    # no address: a user may be known, a device is not
    "- - -": "missing_user",
    "unix: - -": "missing_user",
    "- - ann": ("", "-", "ann", None),
    "- 192.0.2.7 - -": ("-", "192.0.2.7", None, "192.0.2.7 Firefox"),
    # two ways to read them, or none
    "192.0.2.7 198.51.100.1 - -": "unparsable",
    "192.0.2.7 198.51.100.1 -": "unparsable",
    "192.0.2.7 2001:db8::1 - -": "unparsable",
    "192.0.2.7:51234 10.0.0.5 - -": "unparsable",
    "192.0.2.7 shop.example - -": "unparsable",
    "192.0.2.7 shop.example - ann": "unparsable",
    "192.0.2.7 identd Ann Lee": "unparsable",
    "192.0.2.7 - - -": "unparsable",
    "192.0.2.7 - - ann": "unparsable",
    "192.0.2.7 - ann -": "unparsable",
    "192.0.2.7 -": "unparsable",
    "192.0.2.7": "unparsable",
    "shop.example 192.0.2.7 -": "unparsable",
    "shop.example:443 - - -": "unparsable",
    '"192.0.2.7, 198.51.100.1" - -': "unparsable",
}


def test_the_first_fields_of_a_combined_line_are_read_right_or_not_at_all(frame_of) -> None:
    """A shifted field would make one person of all visitors."""
    source = load_source(source_file("combined"))
    alike = {"source": "combined", "arrival_day": date(2026, 1, 5), "file": "access.log"}
    texts = [f'{first} {AT} "GET /garden HTTP/1.1" 200 9 "-" "Firefox"' for first in FIRST_FIELDS]
    lines = frame_of([{**alike, "line": number, "text": text} for number, text in enumerate(texts, 1)], LINES)
    hosts = [row.host for row in sorted(parse_lines(lines, source.reader).select("__line", "host").collect())]
    found = with_reason(canonical_lines(lines, source), source.event_types, 1).collect()
    validated = sorted(found, key=lambda row: row.line)
    read = [
        row.reason or (host, row.ip, row.user_id, row.device_id) for row, host in zip(validated, hosts, strict=True)
    ]
    assert dict(zip(FIRST_FIELDS, read, strict=True)) == FIRST_FIELDS
    assert {row.url for row in validated if row.reason is None} == {
        f"{host}/garden" for host in hosts if host is not None
    }


@pytest.mark.parametrize(
    "case", ["combined-oddities", "vhost-combined", "forwarded-addresses", "lines-merged-by-syslog"]
)
def test_cases_of_web_servers_use_the_built_in_source(case: str) -> None:
    """Their TOMLs differ in the name only, since two cases in one home cannot share a source."""
    file = Path(__file__).parents[2] / "cases" / "logs" / case / "source.toml"
    named = load_source(file)
    assert named == load_source(source_file("combined")).model_copy(update={"name": named.name})


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_every_line_of_nasas_log_is_accounted_for(real_data: Path, cleaned_log) -> None:
    files = sorted((real_data / "nasa-http").glob("*.tsv"))
    found = cleaned_log(load_source(source_file("nasa")), *files)
    assert [file.lines for file in found.staged] == [9_999, 9_999]
    assert found.counts == {
        "accepted": 6_431, "duplicates": 1, "static_asset": 12_818, "redirect": 544, "error": 177, "other_method": 27,
    }  # fmt: skip
    first = found.cleaned.events.orderBy("event_at", "line").first()
    assert first is not None and (first.item_id, first.tags) == ("/history/apollo/", ["history"])
    assert first.event_at.astimezone(UTC).isoformat() == "1995-07-01T04:00:01+00:00", "a second past midnight there"
