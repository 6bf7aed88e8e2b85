"""
### Erasure: everything about people who asked for it

Put a file with ids of users and devices, one a line, into the folder `requests` of THROUGHLINE_HOME on the machine that
runs Airflow, and make it readable by its owner alone (`chmod 600`). Then press *Trigger* and enter the **name** of the
file. No id belongs into the form: Airflow keeps what is entered there. So the name must not be an id either.

With *Dry run* on, as it is at first, the log says how many landed lines and rows would go, and nothing changes. Then
trigger it again with *Dry run* off. The task runs the same command as a terminal, `throughline erase`: it takes the
lease, removes the lines from the landing zone and the rows from all tables, publishes one release, expires all older
snapshots, searches for what is left, and writes a receipt to `erasures/` in the home, or in the folder of the setting
`reports`. Then it deletes the request.

Later lines of these people are rejected as `erased`. Queries with `--as-of` an earlier day say that it is gone. The
receipt names the models trained on their data, of which the next training makes a new one, and the exports and backups
outside of the home that hold them: delete these.

**If the task fails**, clear it: it goes on where it was. Until then no night begins.
"""

from airflow.sdk import DAG, Param

from orchestration.steps import DAG_DEFAULTS, erase_task

PARAMS = {
    "request": Param(
        "",
        type="string",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$(?!\n)",
        title="Request",
        description="Name of a file in the folder requests of THROUGHLINE_HOME, such as october.txt. Never an id.",
    ),
    "source": Param(
        None,
        type=["null", "string"],
        pattern=r"^[a-z][a-z0-9_-]*$(?!\n)",
        title="Source",
        description="The source that the ids are of. Empty: all sources, if they share one id space of users.",
    ),
    "dry_run": Param(
        True,
        type="boolean",
        title="Dry run",
        description="On: print how many lines and rows would go. Off: erase.",
    ),
}

with DAG(
    "interest_erasure",
    schedule=None,
    params=PARAMS,
    tags=["interest", "privacy"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    erase_task()
