-- Which as-of days missed events that arrived later, and how many?
-- One row per arrival day and earlier as-of day with sequences. An event is missed by the as-of days from its UTC date to
-- the day before it arrived. An event dated after its arrival day is missed by none.
-- arrival_day: UTC day on which the events landed
-- as_of: as-of day that missed them
-- event_count: events that the as-of day missed
-- user_count: users of these events
-- max_lateness_days: the most days between the UTC date of an event and its arrival day
-- is_beyond_allowed: true where one of the events is later than the allowed lateness
SELECT
    late.arrival_day,
    nights.as_of,
    count(*) AS event_count,
    count(DISTINCT late.user_id) AS user_count,
    max(late.lateness_days) AS max_lateness_days,
    bool_or(late.is_late) AS is_beyond_allowed
FROM (
    SELECT arrival_day, lateness_days, is_late, user_id
    FROM events
    WHERE lateness_days > 0
) AS late
INNER JOIN (SELECT DISTINCT day AS as_of FROM runs WHERE step = 'sequences') AS nights
    ON nights.as_of < late.arrival_day
    AND date_diff('day', nights.as_of, late.arrival_day) <= late.lateness_days
GROUP BY late.arrival_day, nights.as_of
