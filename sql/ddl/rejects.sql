-- One row per rejected line. Its text stays in the landing zone, where `rejects list` and a replay read it. Where the TOML
-- has [unfold], one row per rejected event of a line.
CREATE TABLE IF NOT EXISTS interest.rejects (
    source      STRING NOT NULL COMMENT 'name of the source',
    arrival_day DATE   NOT NULL COMMENT 'UTC day on which the line landed',
    file        STRING NOT NULL COMMENT 'landed file that holds the line',
    line        BIGINT NOT NULL COMMENT 'line number in that file, from 1',
    part        INT    NOT NULL COMMENT 'number of the event within its line, from 1; above 1 only where the TOML has [unfold]',
    reason      STRING NOT NULL COMMENT 'reason code: unparsable, missing_user, missing_event_at, missing_event_type, unknown_event_type, event_in_future, implausible_time, too_large, set_aside, erased (a line of a person who was erased), or the name of a rule of [reject_when] in the TOML',
    detail      STRING NOT NULL COMMENT 'what was found and what was expected'
) USING iceberg
PARTITIONED BY (arrival_day)
COMMENT 'Rejected lines, one row each; they can be replayed'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
