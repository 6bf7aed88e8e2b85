"""Scratch folders of Spark: private, one for each process, deleted when their process has ended."""

import subprocess
import sys
from pathlib import Path

from pipeline.local.scratch import delete_ended
from pipeline.settings import ROOT, Settings

# The program takes a folder, writes into it, and becomes another program, as a job becomes spark-submit.
TAKES = """
import os, sys
from pathlib import Path
from pipeline.local.scratch import take_scratch
from pipeline.settings import Settings

variables = take_scratch(Settings(home=Path(sys.argv[1])))
(Path(variables["SPARK_LOCAL_DIRS"]) / "rows").write_text("u-1")
program = "import os, time; print(os.environ['SPARK_SUBMIT_OPTS'], flush=True); time.sleep(60)"
os.execve(sys.executable, [sys.executable, "-c", program], {**os.environ, **variables})
"""


def test_a_folder_is_deleted_once_its_process_was_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TAKES, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        option = process.stdout.readline().strip()
        delete_ended(Settings(home=tmp_path))
        [folder] = [one for one in (tmp_path / "scratch").iterdir() if one.is_dir()]
        assert (folder / "rows").is_file() and option == f'"-Djava.io.tmpdir={folder}"'
        assert folder.stat().st_mode & 0o777 == 0o700
        process.kill()
    delete_ended(Settings(home=tmp_path))
    assert list((tmp_path / "scratch").iterdir()) == []
