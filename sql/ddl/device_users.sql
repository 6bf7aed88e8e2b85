-- One row per device, user logged in on it, and arrival day. Only for sources whose TOML joins devices to users.
CREATE TABLE IF NOT EXISTS interest.device_users (
    source         STRING    NOT NULL COMMENT 'name of the source, whose TOML joins devices',
    device_id      STRING    NOT NULL COMMENT 'pseudonym of the device',
    user_id        STRING    NOT NULL COMMENT 'pseudonym of the user who was logged in on it',
    arrival_day    DATE      NOT NULL COMMENT 'UTC day on which the events landed that show it',
    known_on       DATE      NOT NULL COMMENT 'first as-of day that may use these events',
    first_event_at TIMESTAMP NOT NULL COMMENT 'first of these events, UTC'
) USING iceberg
PARTITIONED BY (arrival_day)
COMMENT 'Which user logged in on which device, so that events before log-in can be attributed to the user'
TBLPROPERTIES ('write.wap.enabled' = 'true', 'format-version' = '2')
