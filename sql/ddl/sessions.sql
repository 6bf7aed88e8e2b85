-- One row per session: a run of events of one user, without a gap longer than the inactivity gap of the source.
CREATE TABLE IF NOT EXISTS interest.sessions (
    session_id       STRING        NOT NULL COMMENT 'hash of source, user and first event, or of the session that the log names, so that a late event changes no other session id',
    source           STRING        NOT NULL COMMENT 'name of the source, whose [sessions] rules apply',
    user_id          STRING        NOT NULL COMMENT 'pseudonym of the user',
    session_key      STRING                 COMMENT 'pseudonym of the session that the log itself names; null where the rules of [sessions] made it',
    started_on       DATE          NOT NULL COMMENT 'UTC date of its first event',
    started_at       TIMESTAMP     NOT NULL COMMENT 'its first event, UTC',
    ended_at         TIMESTAMP     NOT NULL COMMENT 'its last event, UTC',
    run_started_at   TIMESTAMP     NOT NULL COMMENT 'first event of the gap-free run that it is a part of, UTC',
    duration_seconds DOUBLE        NOT NULL COMMENT 'from its first to its last event, seconds',
    event_count      INT           NOT NULL COMMENT 'events in it',
    events           ARRAY<STRUCT<event_at: TIMESTAMP, sequence: BIGINT, arrival_day: DATE, file: STRING, line: BIGINT, part: INT, event_id: STRING, event_type: STRING, item_space: STRING, item_id: STRING, tags: ARRAY<STRING>>> NOT NULL COMMENT 'its events in order',
    tags             ARRAY<STRING> NOT NULL COMMENT 'distinct tags of its events, sorted; empty means none',
    is_open          BOOLEAN       NOT NULL COMMENT 'true while an event after the newest cleaned day could still join it',
    is_counted       BOOLEAN       NOT NULL COMMENT 'false for events of bots or without consent, which form sessions of their own and are in no sequence',
    split_reason     STRING        NOT NULL COMMENT 'why it begins here: gap (no event within the gap before), midnight (a run longer than the cap), day (day split) or log (the log names it)'
) USING iceberg
PARTITIONED BY (started_on)
COMMENT 'Sessions, one row each'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
