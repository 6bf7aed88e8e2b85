-- One row per user and as-of day on which the user was scored.
CREATE TABLE IF NOT EXISTS interest.profiles (
    user_id            STRING        NOT NULL COMMENT 'pseudonym of the user',
    as_of              DATE          NOT NULL COMMENT 'the row uses only events known by the end of this UTC day',
    horizon_days       INT           NOT NULL COMMENT 'days after as_of that affinity and return_probability look ahead; null in rows of earlier releases means 7',
    interests          ARRAY<STRUCT<
        tag: STRING COMMENT 'interest tag',
        affinity: DOUBLE COMMENT 'calibrated probability of an event with the tag within horizon_days after as_of, 0 to 1',
        rank: INT COMMENT 'rank by affinity, from 1',
        trend: DOUBLE COMMENT 'affinity minus the affinity by the history up to horizon_days before as_of, -1 to 1',
        is_new: BOOLEAN COMMENT 'true where the first event of the user with the tag is within the horizon_days up to as_of',
        evidence: ARRAY<STRING> COMMENT 'ids of the sessions that contribute most, strongest first; empty for an interest from popularity'
    >>                               NOT NULL COMMENT 'interest tags, highest affinity first; empty means none',
    top_items          ARRAY<STRUCT<
        item_id: STRING COMMENT 'id of the item in its space',
        title: STRING COMMENT 'title in the catalogue, null where it has none',
        score: DOUBLE COMMENT 'where a training promoted a ranking of items: probability of an event with the item within horizon_days, 0 to 1; else for ranking within the row only',
        reason: STRING COMMENT 'why it is listed: repeat, the user has an event with it; interest, it is popular in reason_tag; followed, it occurs in similar sessions after or before reason_item_id; popular, in general; null in rows of earlier releases',
        reason_tag: STRING COMMENT 'the interest of the user for which it is listed; null for other reasons',
        reason_item_id: STRING COMMENT 'id of an item of the user, with which it occurs in sessions of others; null for other reasons'
    >>                               NOT NULL COMMENT 'recommended items, best first; empty means none',
    return_probability DOUBLE        NOT NULL COMMENT 'calibrated probability of any event within horizon_days after as_of, 0 to 1',
    embedding          ARRAY<FLOAT>  NOT NULL COMMENT 'vector of the user, no unit; empty where the model has none',
    event_count        BIGINT        NOT NULL COMMENT 'events known by the end of as_of',
    session_count      INT           NOT NULL COMMENT 'sessions in the scored sequence',
    last_event_at      TIMESTAMP     NOT NULL COMMENT 'newest event known by the end of as_of, UTC',
    cohort             STRING        NOT NULL COMMENT 'number of sessions in the sequence: 1, 2-4, 5-9 or 10+',
    model_version      STRING        NOT NULL COMMENT 'model that scored the row',
    scored_at          TIMESTAMP     NOT NULL COMMENT 'clock time of scoring, UTC',
    run_id             STRING        NOT NULL COMMENT 'run that scored the row',
    input_snapshots    MAP<STRING, BIGINT> NOT NULL COMMENT 'snapshot id by table that the model read',
    code_version       STRING        NOT NULL COMMENT 'version of this software',
    config_hash        STRING        NOT NULL COMMENT 'hash of the source TOMLs and of the settings that change results'
) USING iceberg
PARTITIONED BY (as_of)
COMMENT 'Interest profiles, one row per user and as-of day on which the user was scored'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
