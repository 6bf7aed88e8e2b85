-- How does interest in each tag move from day to day, among the users scored on that day?
-- One row per as-of day and tag. A day scores the users with new events and a seventh of the others or more, so compare
-- shares and means between days, not counts.
-- tag: interest tag
-- horizon_days: how many days the probabilities of the day look ahead
-- audience: the number of scored users who have the tag, or 'fewer than $min_audience'
-- audience_count: the same number; null if fewer than $min_audience
-- mean_affinity: mean of their probabilities; null if fewer than $min_audience users
-- rising_share: share of them whose affinity rose in horizon_days, 0 to 1; null if fewer than $min_audience users
SELECT
    as_of,
    tag,
    horizon_days,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS audience_count,
    CASE WHEN users >= $min_audience THEN mean_affinity END AS mean_affinity,
    CASE WHEN users >= $min_audience THEN rising_share END AS rising_share
FROM (
    SELECT
        scored.as_of,
        scored.interest.tag AS tag,
        scored.horizon_days,
        count(*) AS users,
        avg(scored.interest.affinity) AS mean_affinity,
        avg(CASE WHEN scored.interest.trend > 0 THEN 1E0 ELSE 0E0 END) AS rising_share
    FROM (
        SELECT as_of, coalesce(horizon_days, 7) AS horizon_days, entry.interest AS interest
        FROM profiles
        CROSS JOIN unnest(interests) AS entry (interest)
    ) AS scored
    GROUP BY scored.as_of, scored.horizon_days, scored.interest.tag
) AS tags
