-- One row per step, day and source: rows in, rows out by outcome, gate results. A repeated day replaces its rows.
CREATE TABLE IF NOT EXISTS interest.runs (
    step         STRING              NOT NULL COMMENT 'clean, sessions, sequences, profiles or audit',
    day          DATE                NOT NULL COMMENT 'arrival day for clean, as-of day for the others',
    source       STRING              NOT NULL COMMENT 'source for clean; empty for steps over all sources',
    run_id       STRING              NOT NULL COMMENT 'run that wrote the row',
    rows_in      BIGINT              NOT NULL COMMENT 'rows read: landed lines for clean; for audit the rows checked over all days of its run',
    rows_out     MAP<STRING, BIGINT> NOT NULL COMMENT 'rows by outcome; for clean lines: accepted, duplicates and rejects, of these excluded by a rule of the TOML, and events that are collisions',
    input_sha256 STRING              NOT NULL COMMENT 'digest of the landed files for clean; empty for the others',
    gate         ARRAY<STRUCT<
        rule: STRING COMMENT 'suite and rule',
        broken_count: BIGINT COMMENT 'rows that break the rule, within its tolerance',
        is_warning: BOOLEAN COMMENT 'true where the rule is broken and only warns, so that publication goes on'
    >>                               NOT NULL COMMENT 'rules that audit checked before publication, in rows of the step audit; nothing is published unless all pass',
    seconds      DOUBLE              NOT NULL COMMENT 'wall time of the step over all days of its run, seconds',
    finished_at  TIMESTAMP           NOT NULL COMMENT 'clock time at the end of the step, UTC'
) USING iceberg
COMMENT 'Steps of published runs, one row per step, day and source'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
