"""The terminal of the commands: nothing that a log holds can control it."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from pipeline.escape import printable_lines


def open_console(**options: Any) -> Console:
    """Return a console that reads no markup in texts, unless a call says `markup=True`, and escapes what it prints."""
    console = Console(highlight=False, markup=False, **options)
    console.push_render_hook(_Escaping())
    return console


class _Escaping(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Escaped(one) for one in renderables]


class _Escaped:
    """What is to be printed, with control characters of its texts escaped. Rich's own control codes stay."""

    def __init__(self, content: ConsoleRenderable) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for segment in console.render(self._content, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable_lines(segment.text), segment.style)
