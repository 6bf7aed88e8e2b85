-- Which interests go together: in how many users do two tags meet, against how many would by chance?
-- One row per pair of tags that a user has in the newest profiles, of the interests that sessions of the user support.
-- tag: the tag that comes first in the alphabet
-- other_tag: the other one
-- audience: the number of users who have both, or 'fewer than $min_audience'
-- user_count: the same number; null if fewer than $min_audience
-- expected_user_count: users who would have both if the tags were independent; null where user_count is
-- lift: user_count by expected_user_count; 1 is chance, 2 is twice as many. Null where user_count is
-- share_of_tag: share of the users with tag who have other_tag too, 0 to 1; null where user_count is
-- share_of_other_tag: share of the users with other_tag who have tag too, 0 to 1; null where user_count is
-- relation: together or apart where the counts differ by more than 2.58 standard errors, else chance; null where user_count is
WITH own AS (
    SELECT user_id, tag FROM user_interests WHERE evidence_count > 0
),

totals AS (
    SELECT CAST(count(DISTINCT user_id) AS DOUBLE) AS users FROM own
),

tags AS (
    SELECT tag, CAST(count(*) AS DOUBLE) AS users FROM own GROUP BY tag
),

pairs AS (
    SELECT one.tag, other.tag AS other_tag, count(*) AS users
    FROM own AS one
    INNER JOIN own AS other ON one.user_id = other.user_id AND one.tag < other.tag
    GROUP BY one.tag, other.tag
),

compared AS (
    SELECT
        pairs.tag,
        pairs.other_tag,
        pairs.users,
        tags.users AS tag_users,
        others.users AS other_tag_users,
        tags.users * others.users / totals.users AS expected,
        sqrt(tags.users * others.users / totals.users * (1 - tags.users / totals.users)
            * (1 - others.users / totals.users)) AS standard_error
    FROM pairs
    INNER JOIN tags ON pairs.tag = tags.tag
    INNER JOIN tags AS others ON pairs.other_tag = others.tag
    CROSS JOIN totals
)

SELECT
    tag,
    other_tag,
    CASE WHEN users < $min_audience THEN 'fewer than $min_audience' ELSE CAST(users AS VARCHAR) END AS audience,
    CASE WHEN users >= $min_audience THEN users END AS user_count,
    CASE WHEN users >= $min_audience THEN expected END AS expected_user_count,
    CASE WHEN users >= $min_audience THEN users / expected END AS lift,
    CASE WHEN users >= $min_audience THEN users / tag_users END AS share_of_tag,
    CASE WHEN users >= $min_audience THEN users / other_tag_users END AS share_of_other_tag,
    CASE
        WHEN users < $min_audience THEN NULL
        WHEN users = expected THEN 'chance'
        WHEN users - expected > 2.58 * standard_error THEN 'together'
        WHEN expected - users > 2.58 * standard_error THEN 'apart'
        ELSE 'chance'
    END AS relation
FROM compared
