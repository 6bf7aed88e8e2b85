-- How large is the audience of each tag: how many users have it, and how many of them should show it within horizon_days?
-- One row per tag and horizon over the newest profiles; these have one horizon, unless the setting was changed
-- recently. Affinities are calibrated probabilities, so their sum is the expected count.
SELECT
    tag,
    horizon_days,
    count(*) AS user_count,
    count(CASE WHEN rank <= 3 THEN 1 END) AS top_3_user_count,
    avg(affinity) AS mean_affinity,
    sum(affinity) AS expected_user_count
FROM user_interests
GROUP BY tag, horizon_days
