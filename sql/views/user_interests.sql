-- Which tags is each user interested in, with what probability within horizon_days, and is it rising?
-- One row per user and tag of the newest profiles; the highest affinity has rank 1.
SELECT
    user_id,
    as_of,
    horizon_days,
    entry.interest.tag AS tag,
    entry.interest.affinity AS affinity,
    entry.interest.rank AS rank,
    entry.interest.trend AS trend,
    entry.interest.is_new AS is_new,
    coalesce(len(entry.interest.evidence), 0) AS evidence_count
FROM current_profiles
CROSS JOIN unnest(interests) AS entry (interest)
