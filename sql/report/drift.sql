-- How far did the shares of first interests move from night to night? Total variation: 0 is the same, 1 is all other tags.
WITH shares AS (
    SELECT as_of, interests[1].tag AS tag, count(*) / sum(count(*)) OVER (PARTITION BY as_of) AS share
    FROM profiles
    WHERE len(interests) > 0 AND as_of BETWEEN $day - 14 AND $day
    GROUP BY as_of, tag
),

nights AS (
    SELECT as_of, lag(as_of) OVER (ORDER BY as_of) AS before FROM (SELECT DISTINCT as_of FROM shares)
)

SELECT
    nights.as_of,
    sum(abs(coalesce(shares.share, 0) - coalesce(earlier.share, 0))) / 2 AS total_variation
FROM nights
INNER JOIN (SELECT DISTINCT tag FROM shares) AS tags ON nights.before IS NOT NULL
LEFT JOIN shares ON shares.as_of = nights.as_of AND shares.tag = tags.tag
LEFT JOIN shares AS earlier ON earlier.as_of = nights.before AND earlier.tag = tags.tag
GROUP BY nights.as_of
ORDER BY nights.as_of
