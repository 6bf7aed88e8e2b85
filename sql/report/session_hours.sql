-- At which hours (UTC) did the sessions of the day start?
SELECT
    printf('%02d', hours.hour) AS hour,
    count(sessions.session_id) AS session_count
FROM range(24) AS hours (hour)
LEFT JOIN sessions
    ON sessions.started_on = $day AND sessions.is_counted AND hour(sessions.started_at) = hours.hour
GROUP BY hours.hour
ORDER BY hours.hour
