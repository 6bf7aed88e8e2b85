-- One row per accepted event. A copy of an event has no row of its own: it only fills columns that the first left null.
-- The key is (source, arrival_day, file, line, part).
CREATE TABLE IF NOT EXISTS interest.events (
    source                   STRING        NOT NULL COMMENT 'name of the source',
    event_id                 STRING        NOT NULL COMMENT 'id from the source, else a fingerprint of all that the line says of the event; events with other facts may share an id, see is_collision',
    user_id                  STRING        NOT NULL COMMENT 'pseudonym: hex HMAC-SHA256 of id space and id, or of the device before log-in',
    device_id                STRING                 COMMENT 'pseudonym of the device: hex HMAC-SHA256 of id space and id',
    event_at                 TIMESTAMP     NOT NULL COMMENT 'when it happened, UTC, microseconds; corrected for the clock of the device where the source has the times for it',
    received_at              TIMESTAMP              COMMENT 'when the collector received it, UTC',
    sent_at                  TIMESTAMP              COMMENT 'when the device sent it, by the clock of the device, UTC',
    created_at               TIMESTAMP              COMMENT 'when it happened by the clock of the device, UTC; also set where event_at was moved to received_at',
    clock_correction_seconds DOUBLE                 COMMENT 'seconds added to created_at to get event_at: the offset of the batch, or negative where event_at would lie after received_at; null where nothing was corrected',
    event_type               STRING        NOT NULL COMMENT 'view, click, search, like, cart, purchase or another canonical type',
    weight                   DOUBLE        NOT NULL COMMENT 'how much this type of event says about interest; a view is 1',
    item_space               STRING        NOT NULL COMMENT 'id space of item_id: the name of the source, or the one that its TOML names in [identity]',
    item_id                  STRING                 COMMENT 'id of the item in its space; null for events without one, such as a search',
    tags                     ARRAY<STRING> NOT NULL COMMENT 'interest tags, from the event, else from the catalogue; empty means none',
    session_key              STRING                 COMMENT 'pseudonym of the session that the log itself names; null where it names none',
    sequence                 BIGINT                 COMMENT 'order of the event among those of equal time, by the log; null where it names none',
    dwell_seconds            DOUBLE                 COMMENT 'time spent, seconds',
    url                      STRING                 COMMENT 'page address',
    referrer                 STRING                 COMMENT 'address of the page before',
    consent                  BOOLEAN                COMMENT 'false keeps the event out of sequences; null means unknown, which counts as consent',
    refused_on               DATE                   COMMENT 'arrival day of the first line, of the event or a copy, that refused consent; null where none did',
    arrival_day              DATE          NOT NULL COMMENT 'UTC day on which the line landed',
    known_on                 DATE          NOT NULL COMMENT 'first as-of day that may use the event: the later of arrival day and UTC date of event_at',
    lateness_days            INT           NOT NULL COMMENT 'days from the UTC date of event_at to the arrival day, 0 or more',
    is_late                  BOOLEAN       NOT NULL COMMENT 'true where lateness_days is above the allowed lateness; a label, never a filter',
    bot_class                STRING        NOT NULL COMMENT 'human, declared or behavioural; one class per user and known_on',
    bot_evidence             STRING                 COMMENT 'version of the rules, and the rule that identified the bot; null for human',
    last_copy_on             DATE          NOT NULL COMMENT 'arrival day of the newest copy; a copy up to 7 days after it is a duplicate',
    is_collision             BOOLEAN       NOT NULL COMMENT 'true where an earlier event of the source has the same event_id, but another user, type, item, device or time',
    file                     STRING        NOT NULL COMMENT 'landed file that holds the line',
    line                     BIGINT        NOT NULL COMMENT 'line number in that file, from 1',
    part                     INT           NOT NULL COMMENT 'number of the event within its line, from 1; above 1 only where the TOML has [unfold]'
) USING iceberg
PARTITIONED BY (arrival_day)
COMMENT 'Accepted events, one row each, with bots and late arrivals labelled'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
