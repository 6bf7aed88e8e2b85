-- One row per user and as-of day on which a new event of the user became known: the newest events over all sessions.
-- The lists are aligned: position i of each describes the i-th event, oldest first.
CREATE TABLE IF NOT EXISTS interest.sequences (
    user_id       STRING               NOT NULL COMMENT 'pseudonym of the user',
    as_of         DATE                 NOT NULL COMMENT 'only events known by the end of this UTC day are in the row',
    item          ARRAY<BIGINT>        NOT NULL COMMENT 'xxhash64 of the id space and item_id; 0 for an event without an item',
    tags          ARRAY<ARRAY<STRING>> NOT NULL COMMENT 'tags of each event; empty means none',
    action        ARRAY<STRING>        NOT NULL COMMENT 'event_type of each event',
    weight        ARRAY<DOUBLE>        NOT NULL COMMENT 'weight of each event; a view is 1',
    event_at      ARRAY<TIMESTAMP>     NOT NULL COMMENT 'time of each event, UTC',
    session_id    ARRAY<STRING>        NOT NULL COMMENT 'session of each event; a session begins where it changes',
    event_count   BIGINT               NOT NULL COMMENT 'events known by the end of as_of, including those beyond the newest 512',
    first_event_at TIMESTAMP           NOT NULL COMMENT 'first event known by the end of as_of, UTC',
    last_event_at TIMESTAMP            NOT NULL COMMENT 'newest event known by the end of as_of, UTC',
    excluded_item ARRAY<BIGINT>        NOT NULL COMMENT 'items that are left out of the top items of the user, by exclude_item of the TOML and all events known by the end of as_of, ascending; empty means none'
) USING iceberg
PARTITIONED BY (as_of)
COMMENT 'Behaviour over all sessions, one row per user and as-of day with new events'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
