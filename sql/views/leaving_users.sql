-- Who used to come often and is about to leave?
-- One row per user with sessions on 4 days or more of the 28 up to the last event, who has been away for more than 3 usual
-- gaps or whose return is less likely than not. At a steady pace a user stays away for 3 gaps in 5 of 100 cases.
-- release_day: newest as-of day of the release
-- last_event_at: newest event known by the end of as_of, UTC
-- days_away: days from the last event to release_day
-- active_day_count: days with sessions among the 28 days up to the last event, as known on as_of
-- usual_gap_days: mean days from one of these days to the next
-- return_probability: calibrated probability of any event within horizon_days after as_of, 0 to 1
-- top_tag: the interest of rank 1; null where the profile has none
WITH newest AS (
    SELECT max(as_of) AS release_day FROM current_profiles
),

visits AS (
    SELECT DISTINCT user_id, started_on FROM sessions WHERE is_counted
),

habits AS (
    SELECT
        visits.user_id,
        count(*) AS active_day_count,
        CAST(date_diff('day', min(visits.started_on), max(visits.started_on)) AS DOUBLE) AS span_days
    FROM visits
    INNER JOIN current_profiles ON visits.user_id = current_profiles.user_id
    WHERE visits.started_on <= current_profiles.as_of
        AND visits.started_on > CAST(current_profiles.last_event_at AS DATE) - INTERVAL 28 DAY
    GROUP BY visits.user_id
)

SELECT
    current_profiles.user_id,
    current_profiles.as_of,
    current_profiles.horizon_days,
    newest.release_day,
    current_profiles.last_event_at,
    date_diff('day', CAST(current_profiles.last_event_at AS DATE), newest.release_day) AS days_away,
    habits.active_day_count,
    habits.span_days / (habits.active_day_count - 1) AS usual_gap_days,
    current_profiles.return_probability,
    user_interests.tag AS top_tag
FROM current_profiles
INNER JOIN habits ON current_profiles.user_id = habits.user_id
CROSS JOIN newest
LEFT JOIN user_interests ON current_profiles.user_id = user_interests.user_id AND user_interests.rank = 1
WHERE habits.active_day_count >= 4
    AND (
        current_profiles.return_probability < 0.5
        OR date_diff('day', CAST(current_profiles.last_event_at AS DATE), newest.release_day)
        > 3 * habits.span_days / (habits.active_day_count - 1)
    )
