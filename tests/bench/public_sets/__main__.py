"""`python -m tests.bench.public_sets taobao --out taobao.json`"""

from pathlib import Path
from typing import Annotated

import typer

from model.errors import exit_with_message
from tests.bench.public_sets.command import bench_and_show

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def bench(
    public_set: Annotated[str, typer.Argument(metavar="taobao|movielens|beauty", help="Which public set.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures to this JSON file too.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few hundred users, to see that it runs. The figures prove nothing.")
    ] = False,
) -> None:
    """Tune and evaluate all baselines on a public set: tags of the next day, or the next item.

    Settings are tuned before the days or items of the test. THROUGHLINE_REAL_DATA names the folder of the sets, by
    default ../shared/data; the error of a missing set names its source. Progress goes to standard error.

    Exit codes: 0 done; 1 a file is missing or invalid; 2 wrong usage; 3 anything else.
    """
    with exit_with_message():
        bench_and_show(public_set, quick, out)


if __name__ == "__main__":
    app(prog_name="python -m tests.bench.public_sets")
