-- One row per session: a run of events of one user in which each follows the one before within the gap.
CREATE TABLE IF NOT EXISTS interest.sessions (
    session_id       STRING        NOT NULL COMMENT 'from the user and the first event only, so that a late event elsewhere leaves it alone',
    source           STRING        NOT NULL COMMENT 'name of the source whose rules cut it',
    user_id          STRING        NOT NULL COMMENT 'pseudonym of the user',
    started_on       DATE          NOT NULL COMMENT 'UTC date of its first event; the day it belongs to',
    started_at       TIMESTAMP     NOT NULL COMMENT 'its first event, UTC',
    ended_at         TIMESTAMP     NOT NULL COMMENT 'its last event, UTC',
    run_started_at   TIMESTAMP     NOT NULL COMMENT 'first event of the gap-free run that it was cut from, UTC',
    duration_seconds DOUBLE        NOT NULL COMMENT 'from its first to its last event, seconds',
    event_count      INT           NOT NULL COMMENT 'events in it',
    events           ARRAY<STRUCT<event_id: STRING, event_at: TIMESTAMP, arrival_day: DATE, event_type: STRING, item_id: STRING, tags: ARRAY<STRING>>> NOT NULL COMMENT 'its events in order',
    tags             ARRAY<STRING> NOT NULL COMMENT 'distinct tags touched, sorted; empty means none',
    is_open          BOOLEAN       NOT NULL COMMENT 'true while an event within the gap could still come after the newest cleaned day',
    is_counted       BOOLEAN       NOT NULL COMMENT 'false for events of bots or without consent, which are sessions of their own and in no sequence',
    split_reason     STRING        NOT NULL COMMENT 'why it begins where it does: gap (no event within the gap before it), midnight (a run beyond the cap) or day (day split)'
) USING iceberg
PARTITIONED BY (started_on)
COMMENT 'Sessions, one row each'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
