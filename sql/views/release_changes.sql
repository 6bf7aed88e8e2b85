-- What did the release change against the one before: which tags gained users, and which lost them?
-- One row per tag that a newest profile has now or had then. It compares the newest profiles of the newest as-of day with
-- those of the last release of an earlier day. Without an earlier release there are no rows.
-- tag: interest tag
-- as_of: newest as-of day of the release
-- as_of_before: as-of day of the release before
-- audience: the number of users who have the tag now, or 'fewer than $min_audience'
-- user_count: the same number; null if fewer than $min_audience
-- user_count_before: users who had it then; null if fewer than $min_audience
-- gained_user_count: users who have it now and had it not, new users among them; null if fewer than $min_audience gained
--   or lost it
-- lost_user_count: users who had it and have it no longer; null where gained_user_count is
-- expected_user_count: users who should show it within the horizon; null where user_count is
-- expected_user_count_before: the same of the release before; null where user_count_before is
WITH days AS (
    SELECT newest.as_of, max(releases.as_of) AS as_of_before
    FROM (SELECT max(as_of) AS as_of FROM profiles) AS newest
    INNER JOIN releases ON releases.as_of < newest.as_of
    GROUP BY newest.as_of
),

interests_before AS (
    SELECT profiles.user_id, entry.interest.tag AS tag, entry.interest.affinity AS affinity
    FROM profiles
    INNER JOIN (
        SELECT profiles.user_id, max(profiles.as_of) AS as_of
        FROM profiles
        INNER JOIN days ON profiles.as_of <= days.as_of_before
        GROUP BY profiles.user_id
    ) AS newest ON profiles.user_id = newest.user_id AND profiles.as_of = newest.as_of
    CROSS JOIN unnest(profiles.interests) AS entry (interest)
),

compared AS (
    SELECT
        coalesce(now.tag, before.tag) AS tag,
        count(now.tag) AS users,
        count(before.tag) AS users_before,
        count(CASE WHEN before.tag IS NULL THEN 1 END) AS gained,
        count(CASE WHEN now.tag IS NULL THEN 1 END) AS lost,
        sum(now.affinity) AS expected,
        sum(before.affinity) AS expected_before
    FROM user_interests AS now
    FULL OUTER JOIN interests_before AS before ON now.user_id = before.user_id AND now.tag = before.tag
    GROUP BY coalesce(now.tag, before.tag)
)

SELECT
    compared.tag,
    days.as_of,
    days.as_of_before,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS user_count,
    CASE WHEN users_before >= $min_audience THEN users_before END AS user_count_before,
    CASE WHEN least(gained, lost) >= $min_audience THEN gained END AS gained_user_count,
    CASE WHEN least(gained, lost) >= $min_audience THEN lost END AS lost_user_count,
    CASE WHEN users >= $min_audience THEN expected END AS expected_user_count,
    CASE WHEN users_before >= $min_audience THEN expected_before END AS expected_user_count_before
FROM compared
CROSS JOIN days
