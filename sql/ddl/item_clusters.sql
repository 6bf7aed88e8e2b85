-- One row per version, source and item: the cluster whose tag replaces missing tags. A row never changes.
CREATE TABLE IF NOT EXISTS interest.item_clusters (
    version         STRING NOT NULL COMMENT 'clusters-1. and the day that it was trained through, such as clusters-1.20260131',
    source          STRING NOT NULL COMMENT 'name of the source, which has items and no tags, or [clusters]',
    item            BIGINT          COMMENT 'xxhash64 of the id space and item_id, as in sequences; null in rows of version 0.1.0',
    item_id         STRING NOT NULL COMMENT 'id of the item in the source',
    tag             STRING NOT NULL COMMENT 'name of its cluster, unique within version and source: that of the version before if the cluster persists, else made of its most typical items',
    cluster         INT    NOT NULL COMMENT 'number of its cluster within version and source, from 0; not comparable between versions',
    similarity      DOUBLE NOT NULL COMMENT 'cosine of the angle between the item and the centre of its cluster, -1 to 1; of an item that was placed later, the share of that cluster among the items of its sessions',
    session_count   INT    NOT NULL COMMENT 'sessions, with another item, that the row is made from',
    trained_through DATE   NOT NULL COMMENT 'last UTC day of the training data of the version',
    known_on        DATE            COMMENT 'UTC day from whose end on the item has the tag: trained_through, or the day on which an item that was new or rare was placed; null in rows of version 0.1.0'
) USING iceberg
PARTITIONED BY (trained_through)
COMMENT 'Clusters of items that occur in the same sessions: interest tags for logs without tags'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
