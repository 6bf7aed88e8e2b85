-- Which tags is each user interested in, with what probability within horizon_days, and is it rising?
-- One row per user and tag of the newest profiles; the highest affinity has rank 1.
-- tag: interest tag
-- affinity: calibrated probability of an event with the tag within horizon_days after as_of, 0 to 1
-- rank: rank by affinity, from 1
-- trend: affinity minus the affinity by the history up to horizon_days before as_of, -1 to 1
-- is_new: true where the first event of the user with the tag is within the horizon_days up to as_of
-- evidence_count: number of sessions that support the interest; 0 for an interest from popularity
SELECT
    user_id,
    as_of,
    horizon_days,
    entry.interest.tag AS tag,
    entry.interest.affinity AS affinity,
    entry.interest.rank AS rank,
    entry.interest.trend AS trend,
    entry.interest.is_new AS is_new,
    coalesce(array_length(entry.interest.evidence), 0) AS evidence_count
FROM current_profiles
CROSS JOIN unnest(interests) AS entry (interest)
