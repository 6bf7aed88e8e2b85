-- Which model scored whom?
SELECT
    model_version,
    cohort,
    CASE WHEN count(*) < $min_audience THEN 'fewer than $min_audience' ELSE CAST(count(*) AS VARCHAR) END AS users,
    CASE WHEN count(*) >= $min_audience THEN avg(len(interests)) END AS mean_interest_count,
    CASE WHEN count(*) >= $min_audience THEN avg(interests[1].affinity) END AS mean_first_affinity,
    CASE WHEN count(*) >= $min_audience THEN avg(return_probability) END AS mean_return_probability
FROM profiles
WHERE as_of = $day
GROUP BY model_version, cohort
ORDER BY model_version, len(cohort), cohort
