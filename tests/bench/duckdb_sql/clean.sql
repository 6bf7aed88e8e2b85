-- Landed lines to events, rejects and items: the work of pipeline/transforms/clean.py, in DuckDB.
-- Variables: out, id_space, inner_pad, outer_pad, future_days, duplicate_days, allowed_lateness_days, and the rules of
-- bots. Tables: event_types (name, canonical, weight), bot_patterns (pattern).
CREATE TEMP TABLE validated AS
WITH parsed AS (
    SELECT
        arrival_day, file, line,
        CASE WHEN json_valid(text) AND starts_with(ltrim(text), '{') THEN from_json(text, '{
            "id": "VARCHAR", "user": "VARCHAR", "time": "VARCHAR", "received": "VARCHAR", "type": "VARCHAR",
            "item": "VARCHAR", "tags": ["VARCHAR"], "url": "VARCHAR", "ua": "VARCHAR", "consent": "VARCHAR"}') END AS line_of
    FROM read_parquet(getvariable('out') || '/landing/*/*.parquet', hive_partitioning = true)
), canonical AS (
    SELECT
        arrival_day, file, line, line_of IS NULL AS is_broken,
        nullif(trim(line_of.id), '') AS event_id,
        nullif(trim(line_of.user), '') AS source_user,
        TRY_CAST(line_of.time AS TIMESTAMP) AS printed_at,
        TRY_CAST(line_of.received AS TIMESTAMP) AS received_at,
        nullif(trim(line_of.type), '') AS type_name,
        nullif(trim(line_of.item), '') AS item_id,
        list_filter(list_transform(line_of.tags, lambda tag: trim(tag)), lambda tag: tag != '') AS told_tags,
        coalesce(list_filter(told_tags, lambda tag, place: list_position(told_tags, tag) = place), []) AS tags,
        nullif(regexp_replace(trim(line_of.url), '[?#].*', ''), '') AS url,
        nullif(trim(line_of.ua), '') AS user_agent,
        TRY_CAST(line_of.consent AS BOOLEAN) AS consent,
        CASE WHEN printed_at BETWEEN '1990-01-01' AND '2100-01-01' THEN printed_at END AS event_at
    FROM parsed
)
SELECT
    canonical.* EXCLUDE (printed_at, told_tags, is_broken, type_name),
    event_types.canonical AS event_type, event_types.weight,
    CASE
        WHEN is_broken THEN 'unparsable'
        WHEN source_user IS NULL THEN 'missing_user'
        WHEN event_at IS NULL THEN 'missing_event_at'
        WHEN type_name IS NULL THEN 'missing_event_type'
        WHEN event_types.name IS NULL THEN 'unknown_event_type'
        WHEN event_at::DATE > arrival_day + getvariable('future_days') THEN 'event_in_future'
    END AS reason
FROM canonical LEFT JOIN event_types ON event_types.name = type_name;

COPY (SELECT arrival_day, file, line, reason FROM validated WHERE reason IS NOT NULL)
TO (getvariable('out') || '/rejects.parquet') (FORMAT parquet, COMPRESSION zstd);

-- One HMAC a user, not one a line.
CREATE TEMP TABLE pseudonyms AS
SELECT source_user,
       sha256(getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode(getvariable('id_space') || chr(31) || source_user)))) AS user_id
FROM (SELECT DISTINCT source_user FROM validated WHERE reason IS NULL);

CREATE TEMP TABLE bot_agents AS
SELECT user_agent FROM (SELECT DISTINCT user_agent FROM validated WHERE user_agent IS NOT NULL)
WHERE EXISTS (FROM bot_patterns WHERE regexp_matches(user_agent, pattern));

-- Only lines whose id comes more than once need windows.
CREATE TEMP TABLE repeated AS
SELECT event_id FROM validated WHERE reason IS NULL GROUP BY event_id HAVING count(*) > 1;

CREATE TEMP TABLE owners_of_copies AS
WITH copies AS (
    SELECT validated.*, arrival_day - lag(arrival_day) OVER in_order AS days_since
    FROM validated SEMI JOIN repeated USING (event_id) WHERE reason IS NULL
    WINDOW in_order AS (PARTITION BY event_id ORDER BY arrival_day, file, line)
), grouped AS (
    SELECT *, count(*) FILTER (days_since IS NULL OR days_since > getvariable('duplicate_days')) OVER (
        PARTITION BY event_id ORDER BY arrival_day, file, line) AS copy_group
    FROM copies
), filled AS (
    SELECT grouped.* REPLACE (
            first_value(received_at IGNORE NULLS) OVER of_group AS received_at,
            first_value(url IGNORE NULLS) OVER of_group AS url,
            first_value(consent IGNORE NULLS) OVER of_group AS consent),
        max(arrival_day) OVER of_group AS last_copy_on,
        row_number() OVER of_group AS copy_number
    FROM grouped
    WINDOW of_group AS (PARTITION BY event_id, copy_group ORDER BY arrival_day, file, line
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
SELECT * EXCLUDE (days_since, copy_group, copy_number) FROM filled WHERE copy_number = 1;

CREATE TEMP TABLE owners AS
WITH chosen AS (
    SELECT *, arrival_day AS last_copy_on FROM validated ANTI JOIN repeated USING (event_id) WHERE reason IS NULL
    UNION ALL BY NAME FROM owners_of_copies
)
SELECT
    chosen.* EXCLUDE (source_user, reason, user_agent),
    user_id,
    greatest(arrival_day, event_at::DATE) AS known_on,
    greatest(arrival_day - event_at::DATE, 0) AS lateness_days,
    lateness_days > getvariable('allowed_lateness_days') AS is_late,
    bot_agents.user_agent IS NOT NULL AS is_declared
FROM chosen JOIN pseudonyms USING (source_user) LEFT JOIN bot_agents ON bot_agents.user_agent = chosen.user_agent;

CREATE TEMP TABLE bots AS
WITH gaps AS (
    SELECT user_id, known_on, event_at, is_declared,
           (epoch_us(event_at) - lag(epoch_us(event_at)) OVER (PARTITION BY user_id, known_on ORDER BY event_at)) / 1e6 AS gap
    FROM owners
), hours AS (
    SELECT user_id, known_on, date_trunc('hour', event_at) AS hour, count(*) AS events, count(gap) AS gaps,
           sum(gap) AS gap_sum, sum(gap * gap) AS gap_square_sum, bool_or(is_declared) AS is_declared
    FROM gaps GROUP BY ALL
), days AS (
    SELECT user_id, known_on, sum(events) AS events, max(events) AS busiest, count(*) AS hours,
           bool_or(is_declared) AS is_declared, sum(gap_sum) / sum(gaps) AS mean,
           sqrt(greatest(sum(gap_square_sum) / sum(gaps) - mean * mean, 0)) / mean AS variation
    FROM hours GROUP BY ALL
)
SELECT user_id, known_on,
       CASE
           WHEN is_declared THEN 'declared'
           WHEN busiest >= getvariable('events_in_one_hour')
             OR (events >= getvariable('regular_from_events') AND variation < getvariable('regular_below_variation'))
             OR (events >= getvariable('hours_active_from_events') AND hours >= getvariable('hours_active_in_a_day'))
           THEN 'behavioural'
       END AS bot_class
FROM days WHERE bot_class IS NOT NULL;

COPY (
    SELECT owners.* EXCLUDE (is_declared), coalesce(bot_class, 'human') AS bot_class
    FROM owners LEFT JOIN bots USING (user_id, known_on)
) TO (getvariable('out') || '/events') (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (arrival_day), WRITE_PARTITION_COLUMNS, OVERWRITE);

COPY (
    SELECT item_id, max_by(tags, (event_at, arrival_day, file, line)) AS tags, min(event_at) AS first_seen_at, max(event_at) AS last_seen_at
    FROM owners WHERE item_id IS NOT NULL GROUP BY item_id
) TO (getvariable('out') || '/items.parquet') (FORMAT parquet, COMPRESSION zstd);
