-- Which interests have the largest audience among the users of the night, and do they rise?
SELECT
    entry.interest.tag AS tag,
    count(*) AS user_count,
    sum(entry.interest.affinity) AS expected_user_count,
    avg(entry.interest.trend) AS mean_trend
FROM profiles
CROSS JOIN unnest(interests) AS entry (interest)
WHERE as_of = $day
GROUP BY tag
HAVING count(*) >= $min_audience
ORDER BY expected_user_count DESC, tag
LIMIT 15
