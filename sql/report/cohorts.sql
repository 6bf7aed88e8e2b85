-- Which model scored whom?
SELECT
    model_version,
    cohort,
    count(*) AS user_count,
    avg(len(interests)) AS mean_interest_count,
    avg(interests[1].affinity) AS mean_first_affinity,
    avg(return_probability) AS mean_return_probability
FROM profiles
WHERE as_of = $day
GROUP BY model_version, cohort
ORDER BY model_version, len(cohort), cohort
