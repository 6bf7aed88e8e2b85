-- How does interest in each tag move from day to day, among the users scored on that day?
-- One row per as-of day and tag; horizon_days is that of the day's probabilities. A day scores the users with new
-- events and a seventh of the others or more, so compare shares and means between days, not counts.
SELECT
    scored.as_of,
    scored.interest.tag AS tag,
    scored.horizon_days,
    count(*) AS audience_count,
    avg(scored.interest.affinity) AS mean_affinity,
    avg(CASE WHEN scored.interest.trend > 0 THEN 1.0 ELSE 0.0 END) AS rising_share
FROM (
    SELECT as_of, coalesce(horizon_days, 7) AS horizon_days, entry.interest AS interest
    FROM profiles
    CROSS JOIN unnest(interests) AS entry (interest)
) AS scored
GROUP BY scored.as_of, scored.horizon_days, scored.interest.tag
