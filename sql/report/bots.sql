-- Who sent the day's events?
SELECT
    bot_class,
    count(*) AS event_count,
    count(DISTINCT user_id) AS user_count
FROM events
WHERE arrival_day = $day
GROUP BY bot_class
ORDER BY event_count DESC
