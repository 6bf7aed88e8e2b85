-- Did the affinities that end with this day come true? Only those of events that carry tags can be checked.
WITH scored AS (
    SELECT user_id, as_of, entry.interest.tag AS tag, entry.interest.affinity AS affinity, horizon_days
    FROM profiles
    CROSS JOIN unnest(interests) AS entry (interest)
    WHERE as_of + coalesce(horizon_days, 7) = $day
),

touched AS (
    SELECT DISTINCT events.user_id, entry.tag
    FROM events
    CROSS JOIN unnest(tags) AS entry (tag)
    WHERE events.event_at >= (SELECT min(as_of) + 1 FROM scored)
        AND events.event_at < $day + 1
        AND events.bot_class = 'human'
)

SELECT
    floor(least(scored.affinity, 0.9999) * 10) / 10 AS bin,
    count(*) AS pair_count,
    avg(scored.affinity) AS mean_affinity,
    avg(CASE WHEN touched.tag IS NULL THEN 0.0 ELSE 1.0 END) AS came_true_share
FROM scored
LEFT JOIN touched ON scored.user_id = touched.user_id AND scored.tag = touched.tag
WHERE EXISTS (SELECT 1 FROM touched)
GROUP BY bin
ORDER BY bin
