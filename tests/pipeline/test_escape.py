"""No value of a log controls the terminal, a spreadsheet or the markup of what we print."""

import csv
import io
import json

import pyarrow as pa
import pytest

from pipeline.analyst.render import render
from pipeline.errors import InputError, exit_with_message
from pipeline.escape import for_spreadsheet, printable
from pipeline.local import doctor
from pipeline.runner.commands import CommandLine
from pipeline.runner.process import _print_line
from pipeline.runner.source import print_report
from pipeline.settings import Settings
from pipeline.terminal import open_console

CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"  # OSC 52 writes to the clipboard
NASTY = [
    CLIPBOARD,
    "\x1b[2J",
    "\x9b31m",
    "\u202etxt.exe",
    "\x00",
    "[red]x",
    r"\[/red]",
    "[/red]",
    "[link=file:///etc]a[/]",
]


def printed(*contents: object, **options: object) -> str:
    out = io.StringIO()
    open_console(file=out, width=300, force_terminal=True, color_system=None).print(*contents, **options)
    return out.getvalue()


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_value_is_shown_and_controls_nothing(text: str) -> None:
    table = pa.table({"n": [1], text: [[text]], "deep": [{text: text}], "plain": [text]})
    for shown in (printed(render(table, "table")), printed(text), printed(f"error: {text}")):
        assert not set(shown) & set("\x1b\x07\x9b\u202e\x00")
        assert printable(text).removesuffix(r"\x07") in shown  # Rich drops a bell


def test_progress_and_colours_of_our_own_still_work() -> None:
    out = io.StringIO()
    console = open_console(file=out, width=80, force_terminal=True, color_system="standard")
    console.print("[green]✓[/] done", markup=True)
    with console.status("working"):
        console.print("x\x1by")
    assert "\x1b[32m✓\x1b[0m done" in out.getvalue() and r"x\x1by" in out.getvalue()


def test_lines_of_a_step_and_reports_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    console = open_console(file=out, width=300)
    _print_line(CommandLine("land", (), "", ()), f"skipped {CLIPBOARD}[red]x", console)
    reason = {
        "reason": "unparsable",
        "lines": 1,
        "detail": CLIPBOARD,
        "file": f"a{CLIPBOARD}",
        "line": 1,
        "text": "[/red]",
    }
    found = {
        "lines": 2, "accepted": 1, "rejected": 1, "excluded": 0, "events": 1, "users": 1, "items": 1,
        "first_day": "2026-01-01",
        "last_day": "2026-01-01", "days": 1, "without_tags": 0, "reasons": [reason],
        "event_types": [{"event_type": "view", "events": 1}], "tags": [{"tag": "[/b]\x1b", "events": 1}],
        "catalogue": ["1 records of 1 items", f"line 1: {CLIPBOARD}"],
    }  # fmt: skip
    print_report(found, console)
    with pytest.raises(SystemExit), exit_with_message():
        raise InputError(f"no source {CLIPBOARD}\n  landed are none")
    shown = out.getvalue() + capsys.readouterr().err
    assert "\x1b" not in shown and "\x07" not in shown
    assert shown.count(r"\x1b]52") == 5 and "[red]x" in shown and "[/red]" in shown and "\n  landed are" in shown


def test_doctor_shows_a_home_whose_path_looks_like_markup(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "[red]home"
    home.mkdir()
    doctor.run_checks(Settings(home=home), open_console(width=400))
    assert "[red]home" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("+1+cmd", "'+1+cmd"), ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), ("\r=1", r"\r=1"), ("\uff1d1", "'\uff1d1"), ("-12.5", "-12.5"), ("+3e4", "+3e4"),
        ("plain = text", "plain = text"), ("a\x1b[2Jb", r"a\x1b[2Jb"), ("two\nlines", "two\nlines"), ("", ""),
    ],
    ids=ascii,
)  # fmt: skip
def test_csv_holds_no_formula_unless_raw(text: str, expected: str) -> None:
    assert for_spreadsheet(text) == expected
    table = pa.table({"title": [text], "n": [-1], "tags": [[text]]})
    for raw, wanted in ((False, expected), *([(True, text)] if "\r" not in text else [])):
        [row] = csv.DictReader(io.StringIO(str(render(table, "csv", raw)), newline=""))
        assert (row["title"], row["n"]) == (wanted, "-1")


def test_a_heading_of_csv_is_no_formula() -> None:
    assert render(pa.table({"=1+1": [1]}), "csv") == "'=1+1\n1\n"


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_json_is_equal_and_has_no_control_characters(text: str) -> None:
    shown = str(render(pa.table({"title": [text]}), "json"))
    assert json.loads(shown) == [{"title": text}]
    assert all(one.isprintable() or one == "\n" for one in shown)
