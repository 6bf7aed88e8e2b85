-- How many rows did each step of the night make?
SELECT
    (SELECT count(*) FROM events WHERE arrival_day = $day AND bot_class = 'human') AS human_event_count,
    (SELECT count(*) FROM sessions WHERE started_on = $day AND is_counted) AS session_count,
    (SELECT coalesce(max(rows_out['sequences']), 0) FROM runs WHERE step = 'sequences' AND day = $day) AS sequence_count,
    (SELECT count(*) FROM profiles WHERE as_of = $day) AS profile_count,
    (SELECT count(*) FROM profiles WHERE as_of = $day AND len(interests) > 0) AS profiles_with_interest_count
