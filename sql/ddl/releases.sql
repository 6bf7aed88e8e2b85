-- One row per release. The row publishes: readers open the table snapshots that the row of the largest number names.
CREATE TABLE IF NOT EXISTS interest.releases (
    as_of        DATE                NOT NULL COMMENT 'newest day of the published run',
    number       BIGINT                       COMMENT 'counts releases; the largest is current; null if an older version made it: those come first, by published_at',
    published_at TIMESTAMP           NOT NULL COMMENT 'clock time of publication, UTC',
    run_id       STRING              NOT NULL COMMENT 'run that published',
    snapshots    MAP<STRING, BIGINT> NOT NULL COMMENT 'snapshot id by table',
    code_version STRING              NOT NULL COMMENT 'version of this software',
    config_hash  STRING              NOT NULL COMMENT 'hash of the source TOMLs and of the settings that change results'
) USING iceberg
COMMENT 'Releases, one row each'
TBLPROPERTIES ('format-version' = '2')
