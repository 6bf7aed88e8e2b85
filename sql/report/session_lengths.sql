-- How many events do the sessions of the day have?
SELECT
    CASE
        WHEN event_count = 1 THEN '1'
        WHEN event_count <= 3 THEN '2-3'
        WHEN event_count <= 7 THEN '4-7'
        WHEN event_count <= 15 THEN '8-15'
        WHEN event_count <= 31 THEN '16-31'
        ELSE '32 or more'
    END AS events,
    count(*) AS session_count
FROM sessions
WHERE started_on = $day AND is_counted
GROUP BY ALL
ORDER BY min(event_count)
