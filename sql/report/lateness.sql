-- How late did the day's events arrive?
SELECT
    CASE WHEN lateness_days >= 8 THEN '8 or more' ELSE CAST(lateness_days AS VARCHAR) END AS days_late,
    count(*) AS event_count
FROM events
WHERE arrival_day = $day
GROUP BY ALL
ORDER BY min(lateness_days)
