"""Move main to the branch of a day after its data steps, as `publish` does, but without profiles.

The history of a benchmark needs no scores. Usage: spark-submit tests/bench/settle_job.py --day 2026-01-31
"""

from pipeline.warehouse import branches
from pipeline.warehouse.step import run_step


def main() -> None:
    with run_step("settle") as step:
        step.spark.conf.unset("spark.wap.branch")
        branches.fast_forward(step.spark, step.refs, step.branch)
        branches.drop(step.spark, step.refs, step.branch)
    step.lease.free()


if __name__ == "__main__":
    main()
