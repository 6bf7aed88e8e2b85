-- Events to sessions: the work of pipeline/transforms/sessions.py on a history that has none yet.
-- Variables: out, gap_micros, cap_micros.
COPY (
    WITH events AS (
        SELECT *, bot_class = 'human' AND coalesce(consent, true) AS is_counted
        FROM read_parquet(getvariable('out') || '/events/*/*.parquet')
    ), ordered AS (
        SELECT user_id, is_counted, event_id, event_at, arrival_day, file, line, event_type, item_id, tags,
               coalesce(epoch_us(event_at) - lag(epoch_us(event_at)) OVER in_order > getvariable('gap_micros'), true) AS is_new_run,
               event_at::DATE != lag(event_at::DATE) OVER in_order AS is_new_day
        FROM events
        WINDOW in_order AS (PARTITION BY user_id, is_counted ORDER BY event_at, arrival_day, file, line)
    ), numbered AS (
        SELECT *, count(*) FILTER (is_new_run) OVER (
            PARTITION BY user_id, is_counted ORDER BY event_at, arrival_day, file, line) AS run
        FROM ordered
    ), runs AS (
        SELECT user_id, is_counted, run, min(event_at) AS run_started_at,
               epoch_us(max(event_at)) - epoch_us(min(event_at)) > getvariable('cap_micros') AS is_cut_by_day
        FROM numbered GROUP BY ALL
    ), cut AS (
        SELECT numbered.*, run_started_at, is_cut_by_day,
               is_cut_by_day AND is_new_day AND NOT is_new_run AS is_midnight,
               CASE WHEN is_cut_by_day THEN event_at::DATE END AS part
        FROM numbered JOIN runs USING (user_id, is_counted, run)
    ), sessions AS (
        SELECT user_id, is_counted, run, part,
               min(event_at) AS started_at, max(event_at) AS ended_at, any_value(run_started_at) AS run_started_at,
               count(*)::INTEGER AS event_count, any_value(is_cut_by_day) AS is_cut_by_day,
               list({event_id: event_id, event_at: event_at, arrival_day: arrival_day, event_type: event_type,
                     item_id: item_id, tags: tags} ORDER BY event_at, arrival_day, file, line) AS events,
               CASE WHEN bool_or(is_midnight) THEN 'midnight' ELSE 'gap' END AS split_reason
        FROM cut GROUP BY ALL
    ), newest AS (SELECT (max(arrival_day) + 1)::TIMESTAMP AS end_of_day FROM events)
    SELECT sha256(user_id || events[1].event_id)[:32] AS session_id, user_id, started_at::DATE AS started_on,
           started_at, ended_at, run_started_at, (epoch_us(ended_at) - epoch_us(started_at)) / 1e6 AS duration_seconds,
           event_count, events,
           list_sort(list_distinct(flatten(list_transform(events, lambda one: one.tags)))) AS tags,
           epoch_us(ended_at) + getvariable('gap_micros') >= epoch_us(end_of_day)
               AND NOT (is_cut_by_day AND ended_at::DATE < end_of_day::DATE) AS is_open,
           is_counted, split_reason
    FROM sessions CROSS JOIN newest
) TO (getvariable('out') || '/sessions') (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (started_on), WRITE_PARTITION_COLUMNS, OVERWRITE);
