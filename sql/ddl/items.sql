-- One row per item of an event or of the catalogue. The key is (space, item_id).
CREATE TABLE IF NOT EXISTS interest.items (
    space                STRING        NOT NULL COMMENT 'id space: the name of the source, or the one that its TOML names in [identity]',
    item_id              STRING        NOT NULL COMMENT 'id of the item in its space',
    item                 BIGINT        NOT NULL COMMENT 'xxhash64 of space and item_id, as in sequences',
    title                STRING                 COMMENT 'title in the catalogue; null where the catalogue has none',
    tags                 ARRAY<STRING> NOT NULL COMMENT 'tags in the catalogue, else those of the newest event of the item; empty means none',
    content              ARRAY<FLOAT>  NOT NULL COMMENT 'content vector in the catalogue, no unit; empty means none',
    first_seen_at        TIMESTAMP              COMMENT 'first event of the item, UTC; null where there is none',
    last_seen_at         TIMESTAMP              COMMENT 'newest event of the item, UTC; null where there is none'
) USING iceberg
COMMENT 'Items, one row each, from the catalogue and from events'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
