"""
### Replay of rejected lines: a corrected TOML for a source

A replay runs the days with rejected lines of a source again, by a corrected TOML. Lines that it accepts move from
`rejects` to `events` and never double. The task runs the same command as a terminal, `throughline rejects replay`.

**To replay**, press *Trigger* and enter the path of the corrected TOML on the machine that runs Airflow. With *Dry run*
on, as it is at first, the log shows the plan and nothing changes: which days would run, and how many lines are rejected
for which reason. Then trigger it again with *Dry run* off.

**If a gate stopped the first night**, nothing is published. Replay with the corrected TOML: the days of the stopped
night run again and are published.

**If the task fails**, nothing was published, and the source keeps its former TOML. The log says which line of the TOML
or which gate is at fault. The replay waits without a slot while a night writes.
"""

from airflow.sdk import DAG, Param

from orchestration.steps import DAG_DEFAULTS, replay_task

PARAMS = {
    "source": Param(
        "",
        type="string",
        pattern=r"^(/[^\x00-\x1f]*\.toml|[a-z][a-z0-9_-]*)$(?!\n)",
        title="Corrected TOML",
        description="Absolute path of the corrected TOML of a source that has landed, such as /srv/logs/shop.toml; "
        "or the name of a built-in source, such as demo.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        pattern=r"^[a-z][a-z_]*$(?!\n)",
        title="Reason",
        description="Start on the first day with a line rejected for this reason, such as unknown_event_type. "
        "Empty: any reason except the TOML's own rules.",
    ),
    "first_day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="From day (UTC)",
        description="Start on this arrival day. Empty: the first day with rejected lines.",
    ),
    "dry_run": Param(
        True,
        type="boolean",
        title="Dry run",
        description="On: print the plan and run nothing. Off: run the days and publish them.",
    ),
}

with DAG(
    "interest_replay",
    schedule=None,
    params=PARAMS,
    tags=["interest", "replay"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    replay_task()
