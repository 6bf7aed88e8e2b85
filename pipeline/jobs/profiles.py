"""Write the scores of the model from the exchange folder to the table `profiles`.

    python -m pipeline.jobs profiles --day 2026-01-31 [--run-id ID]

Reads the files that the step `score` of this run wrote. Fails when they are missing or have another schema.
"""

from collections.abc import Sequence

from pyspark.sql import functions as F

from pipeline.errors import exit_with_message
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.profiles import profiles, read_scores
from pipeline.version import code_version
from pipeline.warehouse import run_log
from pipeline.warehouse.step import run_step
from pipeline.warehouse.tables import table


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("profiles", arguments, writes=("profiles", "runs")) as step:
        spark, days = step.spark, list(step.days)
        exchange = step.settings.exchange_folder / step.run_id
        scores, snapshots = read_scores(spark, exchange, days)
        config_hash = step.settings.results_hash(step.zone.source_files())
        made = profiles(scores, spark.table(table("items")), step.run_id, snapshots, code_version(), config_hash)

        is_replaced = is_on(F.col("as_of"), days)
        made.select(*spark.table(table("profiles")).columns).writeTo(table("profiles")).overwrite(is_replaced)

        written = spark.table(table("profiles")).where(is_replaced)
        counts = {row.as_of: row["count"] for row in written.groupBy("as_of").count().collect()}
        rows = [run_log.StepRow(day, counts.get(day, 0), {"profiles": counts.get(day, 0)}) for day in days]
        run_log.record(spark, "profiles", step.run_id, rows, step.clock)


if __name__ == "__main__":
    with exit_with_message():
        main()
