-- One row per item that an event or the catalogue names.
CREATE TABLE IF NOT EXISTS interest.items (
    item_id              STRING        NOT NULL COMMENT 'id of the item in the source',
    item                 BIGINT        NOT NULL COMMENT 'xxhash64 of item_id, the form in which sequences hold it',
    title                STRING                 COMMENT 'title in the catalogue; null where the catalogue has none',
    tags                 ARRAY<STRING> NOT NULL COMMENT 'tags in the catalogue, else of the newest event that touched the item; empty means none',
    content              ARRAY<FLOAT>  NOT NULL COMMENT 'content vector in the catalogue, no unit; empty means none',
    first_seen_at        TIMESTAMP              COMMENT 'first event that touched the item, UTC; null where none did',
    last_seen_at         TIMESTAMP              COMMENT 'newest event that touched the item, UTC; null where none did'
) USING iceberg
COMMENT 'Items, one row each, from the catalogue and from events'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
