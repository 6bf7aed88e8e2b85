-- Who sent the day's events?
SELECT
    bot_class,
    count(*) AS event_count,
    CASE
        WHEN count(DISTINCT user_id) < $min_audience THEN 'fewer than $min_audience'
        ELSE CAST(count(DISTINCT user_id) AS VARCHAR)
    END AS users
FROM events
WHERE arrival_day = $day
GROUP BY bot_class
ORDER BY event_count DESC
