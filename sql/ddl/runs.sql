-- One row per step and day: what went in, what became of it, what the gate found. A repeated day replaces its rows.
CREATE TABLE IF NOT EXISTS interest.runs (
    step         STRING              NOT NULL COMMENT 'clean, sessions, sequences or profiles',
    day          DATE                NOT NULL COMMENT 'arrival day for clean, as-of day for the others',
    source       STRING              NOT NULL COMMENT 'source for clean; empty for steps over all sources',
    run_id       STRING              NOT NULL COMMENT 'run that wrote the row',
    rows_in      BIGINT              NOT NULL COMMENT 'rows read: landed lines for clean',
    rows_out     MAP<STRING, BIGINT> NOT NULL COMMENT 'rows by fate; for clean accepted, duplicates and rejects',
    input_sha256 STRING              NOT NULL COMMENT 'digest of the landed files for clean; empty for the others',
    gate         ARRAY<STRUCT<
        rule: STRING COMMENT 'expectation and column',
        broken_count: BIGINT COMMENT 'rows that break it, within what it allows'
    >>                               NOT NULL COMMENT 'rules checked before publication; all passed, else nothing is published',
    seconds      DOUBLE              NOT NULL COMMENT 'wall time of the step for all its days, seconds',
    finished_at  TIMESTAMP           NOT NULL COMMENT 'clock time at its end, UTC'
) USING iceberg
COMMENT 'Steps of published nights, one row per step and day'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
