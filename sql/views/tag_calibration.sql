-- How well did last week's affinities of each tag come true, by the events since?
-- One row per tag of the newest as-of day whose horizon_days have passed, over the users scored on that day. Only events
-- that carry tags can be checked: a log without them has no rows.
-- tag: interest tag
-- as_of: the day whose affinities are checked
-- horizon_days: the days after it in which the affinities should come true
-- audience: the number of users with an affinity for the tag, or 'fewer than $min_audience'
-- user_count: the same number; null if fewer than $min_audience
-- mean_affinity: mean of their affinities; null where user_count is
-- came_true_share: share of them who touched the tag within horizon_days, 0 to 1; null where user_count is
-- standard_error: of came_true_share, if the affinities are right; null where user_count is
-- outcome: more often or less often than predicted where the two differ by more than 2.58 standard errors, else as predicted;
--   null where user_count is
WITH scored AS (
    SELECT
        profiles.user_id,
        profiles.as_of,
        coalesce(profiles.horizon_days, 7) AS horizon_days,
        entry.interest.tag AS tag,
        entry.interest.affinity AS affinity
    FROM profiles
    CROSS JOIN unnest(profiles.interests) AS entry (interest)
    WHERE profiles.as_of = (
        SELECT max(as_of)
        FROM profiles
        WHERE date_diff('day', as_of, (SELECT max(as_of) FROM profiles)) >= coalesce(horizon_days, 7)
    )
),

touched AS (
    SELECT DISTINCT events.user_id, entry.tag
    FROM events
    CROSS JOIN (SELECT DISTINCT as_of, horizon_days FROM scored) AS span
    CROSS JOIN unnest(events.tags) AS entry (tag)
    WHERE CAST(events.event_at AS DATE) > span.as_of
        AND date_diff('day', span.as_of, CAST(events.event_at AS DATE)) <= span.horizon_days
        AND events.bot_class = 'human'
        AND coalesce(events.consent, true)
),

checked AS (
    SELECT
        scored.tag,
        scored.as_of,
        scored.horizon_days,
        count(*) AS users,
        avg(scored.affinity) AS mean_affinity,
        avg(CASE WHEN touched.tag IS NULL THEN 0E0 ELSE 1E0 END) AS came_true_share,
        sqrt(sum(scored.affinity * (1 - scored.affinity))) / count(*) AS standard_error
    FROM scored
    LEFT JOIN touched ON scored.user_id = touched.user_id AND scored.tag = touched.tag
    WHERE EXISTS (SELECT 1 FROM touched)
    GROUP BY scored.tag, scored.as_of, scored.horizon_days
)

SELECT
    tag,
    as_of,
    horizon_days,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS user_count,
    CASE WHEN users >= $min_audience THEN mean_affinity END AS mean_affinity,
    CASE WHEN users >= $min_audience THEN came_true_share END AS came_true_share,
    CASE WHEN users >= $min_audience THEN standard_error END AS standard_error,
    CASE
        WHEN users < $min_audience THEN NULL
        WHEN came_true_share - mean_affinity > 2.58 * standard_error THEN 'more often'
        WHEN mean_affinity - came_true_share > 2.58 * standard_error THEN 'less often'
        ELSE 'as predicted'
    END AS outcome
FROM checked
