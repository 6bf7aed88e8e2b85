-- One row per publication. The row is the publication: readers open the snapshots that the newest one names.
CREATE TABLE IF NOT EXISTS interest.releases (
    as_of        DATE                NOT NULL COMMENT 'day of the night that was published',
    published_at TIMESTAMP           NOT NULL COMMENT 'clock time of publication, UTC; the newest is current',
    run_id       STRING              NOT NULL COMMENT 'run that published',
    snapshots    MAP<STRING, BIGINT> NOT NULL COMMENT 'table to snapshot id',
    code_version STRING              NOT NULL COMMENT 'version of this software',
    config_hash  STRING              NOT NULL COMMENT 'hash of the source TOMLs and of the settings that change results'
) USING iceberg
COMMENT 'Publications, one row each'
TBLPROPERTIES ('format-version' = '2')
