-- How does interest in each tag move from day to day, among the users who were scored on that day?
-- One row per as-of day and tag. A day scores the users with news and a seventh of the others, so compare shares and
-- means from day to day rather than counts.
SELECT
    scored.as_of,
    scored.interest.tag AS tag,
    count(*) AS audience_count,
    avg(scored.interest.affinity) AS mean_affinity,
    avg(CASE WHEN scored.interest.trend > 0 THEN 1.0 ELSE 0.0 END) AS rising_share
FROM (
    SELECT as_of, entry.interest AS interest
    FROM profiles
    CROSS JOIN unnest(interests) AS entry (interest)
) AS scored
GROUP BY scored.as_of, scored.interest.tag
