-- One row per version, source and item: the cluster whose tag replaces missing tags. A version never changes.
CREATE TABLE IF NOT EXISTS interest.item_clusters (
    version         STRING NOT NULL COMMENT 'clusters-1. and the day that it was trained through, such as clusters-1.20260131',
    source          STRING NOT NULL COMMENT 'name of the source, whose TOML has [clusters]',
    item_id         STRING NOT NULL COMMENT 'id of the item in the source',
    tag             STRING NOT NULL COMMENT 'name of its cluster, unique within version and source: that of the version before if the cluster persists, else made of its most typical items',
    cluster         INT    NOT NULL COMMENT 'number of its cluster within version and source, from 0; not comparable between versions',
    similarity      DOUBLE NOT NULL COMMENT 'cosine of the angle between the item and the centre of its cluster, -1 to 1',
    session_count   INT    NOT NULL COMMENT 'sessions known through trained_through that contain the item and another one',
    trained_through DATE   NOT NULL COMMENT 'last UTC day of its training data; it tags events that arrive later, until the next version'
) USING iceberg
PARTITIONED BY (trained_through)
COMMENT 'Clusters of items that occur in the same sessions: interest tags for logs without tags'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
