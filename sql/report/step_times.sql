-- How long did each step take, against the 14 nights before? A night of a range shows the time of the whole range.
SELECT
    step,
    max(CASE WHEN day = $day THEN seconds END) AS seconds,
    median(CASE WHEN day < $day THEN seconds END) AS median_seconds_before,
    count(DISTINCT CASE WHEN day < $day THEN day END) AS night_count
FROM runs
WHERE day BETWEEN $day - 14 AND $day
GROUP BY step
HAVING max(CASE WHEN day = $day THEN seconds END) IS NOT NULL
ORDER BY min(CASE WHEN day = $day THEN finished_at END)
