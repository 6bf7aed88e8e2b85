"""Move main to the branch of a night whose data steps have ended, as `publish` does, but without profiles.

A benchmark's history needs no scores. Usage: spark-submit tests/bench/settle_job.py --day 2026-01-31
"""

from pipeline.warehouse import branches
from pipeline.warehouse.step import run_step


def main() -> None:
    with run_step("settle") as here:
        here.spark.conf.unset("spark.wap.branch")
        branches.fast_forward(here.spark, here.branch)
        branches.drop(here.spark, here.branch)
    here.lease.free()


if __name__ == "__main__":
    main()
