-- Events to sequences: the work of pipeline/transforms/sequences.py, all days of the range at once.
-- Variables: out, gap_micros, cap_micros, sequence_length.
COPY (
    WITH counted AS (
        SELECT user_id, event_id, event_at, arrival_day, file, line, known_on, event_type, weight, hash(item_id) AS item_hash, item_id, tags
        FROM read_parquet(getvariable('out') || '/events/*/*.parquet')
        WHERE bot_class = 'human' AND coalesce(consent, true)
    ), news AS (
        SELECT DISTINCT user_id, known_on AS as_of FROM counted
        WHERE known_on <= (SELECT max(arrival_day) FROM counted)
    ), known AS (
        SELECT news.as_of, counted.*,
               row_number() OVER (PARTITION BY user_id, as_of ORDER BY event_at, arrival_day, file, line) AS place,
               count(*) OVER life AS event_count, min(event_at) OVER life AS first_event_at
        FROM news JOIN counted USING (user_id) WHERE counted.known_on <= news.as_of
        WINDOW life AS (PARTITION BY user_id, as_of)
        QUALIFY place > event_count - getvariable('sequence_length')
    ), ordered AS (
        SELECT *,
               coalesce(epoch_us(event_at) - lag(epoch_us(event_at)) OVER in_order > getvariable('gap_micros'), true) AS is_new_run
        FROM known WINDOW in_order AS (PARTITION BY user_id, as_of ORDER BY place)
    ), numbered AS (
        SELECT *, count(*) FILTER (is_new_run) OVER (PARTITION BY user_id, as_of ORDER BY place) AS run FROM ordered
    ), cut AS (
        SELECT *, CASE WHEN epoch_us(max(event_at) OVER of_run) - epoch_us(min(event_at) OVER of_run) > getvariable('cap_micros')
                       THEN event_at::DATE END AS part
        FROM numbered WINDOW of_run AS (PARTITION BY user_id, as_of, run)
    ), named AS (
        SELECT *, sha256(user_id || first(event_id) OVER (PARTITION BY user_id, as_of, run, part ORDER BY place))[:32] AS session_id
        FROM cut
    )
    SELECT user_id, as_of,
           list(CASE WHEN item_id IS NULL THEN 0 ELSE item_hash END ORDER BY place) AS item,
           list(tags ORDER BY place) AS tags, list(event_type ORDER BY place) AS action, list(weight ORDER BY place) AS weight,
           list(event_at ORDER BY place) AS event_at, list(session_id ORDER BY place) AS session_id,
           any_value(event_count) AS event_count, any_value(first_event_at) AS first_event_at, max(event_at) AS last_event_at
    FROM named GROUP BY user_id, as_of
) TO (getvariable('out') || '/sequences') (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (as_of), WRITE_PARTITION_COLUMNS, OVERWRITE);
