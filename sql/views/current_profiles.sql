-- What is each user interested in, by the newest profile of the release?
-- One row per user.
-- horizon_days: days after as_of that affinity and return_probability look ahead
SELECT
    profiles.user_id,
    profiles.as_of,
    coalesce(profiles.horizon_days, 7) AS horizon_days,
    profiles.interests,
    profiles.top_items,
    profiles.return_probability,
    profiles.embedding,
    profiles.event_count,
    profiles.session_count,
    profiles.last_event_at,
    profiles.cohort,
    profiles.model_version,
    profiles.scored_at,
    profiles.run_id,
    profiles.input_snapshots,
    profiles.code_version,
    profiles.config_hash
FROM profiles
INNER JOIN (SELECT user_id, max(as_of) AS as_of FROM profiles GROUP BY user_id) AS newest
    ON profiles.user_id = newest.user_id AND profiles.as_of = newest.as_of
