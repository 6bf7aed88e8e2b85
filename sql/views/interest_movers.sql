-- Which interests rise and which fall, with enough users to mean it?
-- One row per tag that a user touched in the week that ends with the newest night, or in the week before it. It compares
-- shares of the active users, so a busy week moves nothing. A log of less than two weeks, or without tags, has no rows.
-- tag: interest tag
-- week_ends_on: last day of the week
-- audience: the number of users who touched the tag in the week, or 'fewer than $min_audience'
-- user_count: the same number; null if fewer than $min_audience
-- user_count_before: users who touched the tag in the week before; null if fewer than $min_audience
-- share: user_count by the active users of the week, 0 to 1; null where user_count is
-- share_before: user_count_before by the active users of the week before, 0 to 1; null where user_count_before is
-- direction: rising or falling where the shares differ by more than 2.58 standard errors, else level; a tag that does not move
--   passes this test of two proportions in 1 of 100 cases. Null if fewer than $min_audience users in both weeks
WITH newest AS (
    SELECT max(day) AS day FROM runs WHERE step = 'sessions'
),

active AS (
    SELECT DISTINCT
        sessions.user_id,
        sessions.tags,
        newest.day,
        CASE WHEN sessions.started_on > newest.day - INTERVAL 7 DAY THEN 1 ELSE 0 END AS is_this_week
    FROM sessions
    CROSS JOIN newest
    WHERE sessions.is_counted
        AND sessions.started_on > newest.day - INTERVAL 14 DAY
        AND sessions.started_on <= newest.day
        AND newest.day - INTERVAL 13 DAY >= (SELECT min(started_on) FROM sessions)
),

totals AS (
    SELECT
        CAST(count(DISTINCT CASE WHEN is_this_week = 1 THEN user_id END) AS DOUBLE) AS users,
        CAST(count(DISTINCT CASE WHEN is_this_week = 0 THEN user_id END) AS DOUBLE) AS users_before
    FROM active
),

touched AS (
    SELECT
        entry.tag,
        active.day,
        count(DISTINCT CASE WHEN active.is_this_week = 1 THEN active.user_id END) AS users,
        count(DISTINCT CASE WHEN active.is_this_week = 0 THEN active.user_id END) AS users_before
    FROM active
    CROSS JOIN unnest(active.tags) AS entry (tag)
    GROUP BY entry.tag, active.day
),

compared AS (
    SELECT
        touched.tag,
        touched.day,
        touched.users,
        touched.users_before,
        touched.users / nullif(totals.users, 0) AS share,
        touched.users_before / nullif(totals.users_before, 0) AS share_before,
        (touched.users + touched.users_before) / (totals.users + totals.users_before) AS pooled_share,
        1 / nullif(totals.users, 0) + 1 / nullif(totals.users_before, 0) AS inverse_counts
    FROM touched
    CROSS JOIN totals
)

SELECT
    tag,
    day AS week_ends_on,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS user_count,
    CASE WHEN users_before >= $min_audience THEN users_before END AS user_count_before,
    CASE WHEN users >= $min_audience THEN share END AS share,
    CASE WHEN users_before >= $min_audience THEN share_before END AS share_before,
    CASE
        WHEN users < $min_audience AND users_before < $min_audience THEN NULL
        WHEN share - share_before > 2.58 * sqrt(pooled_share * (1 - pooled_share) * inverse_counts) THEN 'rising'
        WHEN share_before - share > 2.58 * sqrt(pooled_share * (1 - pooled_share) * inverse_counts) THEN 'falling'
        ELSE 'level'
    END AS direction
FROM compared
