-- How large is the audience of each tag: how many users have it, and how many of them should show it within horizon_days?
-- One row per tag and horizon over the newest profiles; these have one horizon, unless the setting was changed
-- recently. Affinities are calibrated probabilities, so their sum is the expected count.
-- audience: the number of users whose newest profile has the tag, or 'fewer than $min_audience'
-- user_count: the same number; null if fewer than $min_audience
-- top_3_user_count: users who have the tag among their first 3; null if fewer than $min_audience
-- mean_affinity: mean of their probabilities; null if fewer than $min_audience users
-- expected_user_count: users who should show the tag within horizon_days; null if fewer than $min_audience users
SELECT
    tag,
    horizon_days,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS user_count,
    CASE WHEN top_3_users >= $min_audience THEN top_3_users END AS top_3_user_count,
    CASE WHEN users >= $min_audience THEN mean_affinity END AS mean_affinity,
    CASE WHEN users >= $min_audience THEN expected_users END AS expected_user_count
FROM (
    SELECT
        tag,
        horizon_days,
        count(*) AS users,
        count(CASE WHEN rank <= 3 THEN 1 END) AS top_3_users,
        avg(affinity) AS mean_affinity,
        sum(affinity) AS expected_users
    FROM user_interests
    GROUP BY tag, horizon_days
) AS tags
