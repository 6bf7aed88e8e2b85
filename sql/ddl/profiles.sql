-- One row per user and as-of day on which the user was scored.
CREATE TABLE IF NOT EXISTS interest.profiles (
    user_id            STRING        NOT NULL COMMENT 'pseudonym of the user',
    as_of              DATE          NOT NULL COMMENT 'only events known by the end of this UTC day count',
    interests          ARRAY<STRUCT<
        tag: STRING COMMENT 'interest tag',
        affinity: DOUBLE COMMENT 'calibrated probability that the user touches the tag within 7 days after as_of, 0 to 1',
        rank: INT COMMENT 'place by affinity, from 1',
        trend: DOUBLE COMMENT 'affinity less that of the same history cut 7 days before, -1 to 1',
        is_new: BOOLEAN COMMENT 'true where the first touch lies within the 7 days up to as_of',
        evidence: ARRAY<STRING> COMMENT 'sessions that speak most for it, strongest first; empty for a guess from popularity'
    >>                               NOT NULL COMMENT 'interest tags, strongest first; empty means none',
    top_items          ARRAY<STRUCT<
        item_id: STRING COMMENT 'id of the item in the source',
        title: STRING COMMENT 'title in the catalogue, null where it has none',
        score: DOUBLE COMMENT 'for ranking within the row only, no unit'
    >>                               NOT NULL COMMENT 'items to show next, best first; empty means none',
    return_probability DOUBLE        NOT NULL COMMENT 'calibrated probability of any event within 7 days after as_of, 0 to 1',
    embedding          ARRAY<FLOAT>  NOT NULL COMMENT 'vector of the user, no unit; empty where the model has none',
    event_count        BIGINT        NOT NULL COMMENT 'events known by then',
    session_count      INT           NOT NULL COMMENT 'sessions in the sequence that was scored',
    last_event_at      TIMESTAMP     NOT NULL COMMENT 'newest event known by then, UTC',
    cohort             STRING        NOT NULL COMMENT 'by sessions in the sequence: 1, 2-4, 5-9 or 10+',
    model_version      STRING        NOT NULL COMMENT 'model that scored the row',
    scored_at          TIMESTAMP     NOT NULL COMMENT 'clock time of scoring, UTC',
    run_id             STRING        NOT NULL COMMENT 'run that scored the row',
    input_snapshots    MAP<STRING, BIGINT> NOT NULL COMMENT 'table to snapshot id that the model read',
    code_version       STRING        NOT NULL COMMENT 'version of this software',
    config_hash        STRING        NOT NULL COMMENT 'hash of the source TOMLs and of the settings that change results'
) USING iceberg
PARTITIONED BY (as_of)
COMMENT 'Interest profiles, one row per user and as-of day on which the user was scored'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
