"""What README.md and the comments of `sql/ddl` claim of published rows: SQL that returns the rows that break a claim.

A claim about no rows at all would hold of any home, so each also says which rows it is about.
"""

from dataclasses import dataclass
from datetime import date, timedelta

# The events that a profile may use: those of people, with consent, known by the end of its day.
COUNTED = """
    SELECT profiles.user_id, profiles.as_of, profiles.event_count, events.event_at, events.event_id, events.item_id,
        events.tags
    FROM current_profiles AS profiles INNER JOIN events USING (user_id)
    WHERE events.known_on <= profiles.as_of AND events.bot_class = 'human'
        AND (events.consent IS NOT FALSE OR events.refused_on > profiles.as_of)
"""
TOUCHED = f"SELECT user_id, unnest(tags) AS tag, event_at FROM ({COUNTED})"
EVIDENCE = """
    SELECT user_id, entry.interest.tag AS tag, unnest(entry.interest.evidence) AS session_id
    FROM (SELECT * FROM current_profiles WHERE as_of = (SELECT max(as_of) FROM current_profiles))
    CROSS JOIN unnest(interests) AS entry (interest)
"""


@dataclass(frozen=True)
class Claim:
    """broken: a query of the rows that break it. rows: a query of all rows that it is about."""

    broken: str
    rows: str


CLAIMS = {
    "rank 1 has the highest affinity, and a user has a tag once": Claim(
        """
        SELECT user_id FROM user_interests GROUP BY user_id
        HAVING list(rank ORDER BY affinity DESC, rank) <> range(1, count(*) + 1) OR count(DISTINCT tag) <> count(*)
        """,
        "SELECT * FROM user_interests",
    ),
    "affinities and returns are probabilities, and so is the affinity of a horizon before": Claim(
        """
        SELECT user_id FROM user_interests
        WHERE NOT affinity BETWEEN 0 AND 1 OR NOT affinity - trend BETWEEN -1e-9 AND 1 + 1e-9
        UNION ALL SELECT user_id FROM current_profiles WHERE NOT return_probability BETWEEN 0 AND 1
        """,
        "SELECT * FROM user_interests WHERE trend <> 0",
    ),
    "rows predict the horizon of the home, 7 days by default, by the built-in model without a training": Claim(
        "SELECT * FROM profiles WHERE horizon_days <> 7 OR model_version <> 'counts-1'", "SELECT * FROM profiles"
    ),
    "a tag is new if the user first touched it within the last horizon": Claim(
        f"""
        WITH first AS (SELECT user_id, tag, min(event_at) AS first_at FROM ({TOUCHED}) GROUP BY ALL)
        SELECT user_id, tag, is_new, first_at FROM user_interests LEFT JOIN first USING (user_id, tag)
        WHERE is_new <> coalesce(first_at >= as_of - INTERVAL 6 DAY, false)
        """,
        "SELECT * FROM user_interests WHERE is_new",
    ),
    "the evidence of an interest are sessions of the user that carry the tag": Claim(
        f"""
        SELECT * FROM ({EVIDENCE}) AS named LEFT JOIN sessions USING (user_id, session_id)
        WHERE NOT coalesce(list_contains(sessions.tags, named.tag) AND is_counted, false)
        """,
        EVIDENCE,
    ),
    "an interest has evidence where the user touched it, and else is from popularity": Claim(
        f"""
        SELECT user_id, tag FROM user_interests
        WHERE (evidence_count > 0) <> ((user_id, tag) IN (SELECT (user_id, tag) FROM ({TOUCHED})))
        """,
        "SELECT * FROM user_interests WHERE evidence_count > 0",
    ),
    "an item has one row, and is once in a list": Claim(
        """
        SELECT space, item_id FROM items GROUP BY ALL HAVING count(*) > 1
        UNION ALL SELECT user_id, item_id FROM recommended_items GROUP BY ALL HAVING count(*) > 1
        """,
        "SELECT * FROM recommended_items",
    ),
    "a recommended item that the user had is a repeat, and no other is": Claim(
        f"""
        SELECT * FROM recommended_items
        WHERE reason IS NULL
            OR (reason = 'repeat') <> ((user_id, item_id) IN (SELECT (user_id, item_id) FROM ({COUNTED})))
        """,
        "SELECT * FROM recommended_items WHERE reason = 'repeat'",
    ),
    "an item is recommended for an interest that has evidence, and that some event of the item carries": Claim(
        """
        SELECT listed.* FROM recommended_items AS listed
        LEFT JOIN user_interests AS had ON had.user_id = listed.user_id AND had.tag = listed.reason_tag
        WHERE (listed.reason = 'interest') <> (coalesce(had.evidence_count, 0) > 0) OR (listed.reason = 'interest'
            AND (listed.item_id, listed.reason_tag) NOT IN
                (SELECT (item_id, unnest(tags)) FROM events WHERE item_id IS NOT NULL))
        """,
        "SELECT * FROM recommended_items WHERE reason = 'interest'",
    ),
    "an audience is the sum of its users' probabilities": Claim(
        """
        SELECT * FROM tag_audience FULL JOIN
            (SELECT tag, count(*) AS users, sum(affinity) AS expected FROM user_interests GROUP BY tag) USING (tag)
        WHERE user_count IS DISTINCT FROM users OR abs(expected_user_count - expected) > 1e-6
        """,
        "SELECT * FROM tag_audience",
    ),
    "views show no figures of fewer than 10 users": Claim(
        """
        WITH own AS (SELECT user_id, tag FROM user_interests WHERE evidence_count > 0),
        truth AS (SELECT one.tag, other.tag AS other_tag, count(*) AS users
            FROM own AS one INNER JOIN own AS other USING (user_id) WHERE one.tag < other.tag GROUP BY ALL)
        SELECT * FROM interest_pairs INNER JOIN truth USING (tag, other_tag)
        WHERE user_count IS DISTINCT FROM (CASE WHEN users >= 10 THEN users END)
            OR users < 10 AND coalesce(expected_user_count, lift, share_of_tag, share_of_other_tag) IS NOT NULL
        """,
        "SELECT * FROM interest_pairs WHERE audience = 'fewer than 10'",
    ),
    "a sequence has the newest 512 events of each user with new events": Claim(
        f"""
        WITH known AS (SELECT user_id, count(*) AS n FROM ({COUNTED}) GROUP BY user_id)
        SELECT user_id FROM current_profiles LEFT JOIN known USING (user_id) WHERE event_count IS DISTINCT FROM n
        UNION ALL SELECT user_id FROM sequences WHERE len(item) <> least(event_count, 512)
        """,
        "SELECT * FROM sequences",
    ),
}

# The newest profile of each user by a day, and what users touch in the week after it.
NEXT_WEEK = """
    newest AS (SELECT * FROM profiles WHERE as_of <= DATE '{as_of}'
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY as_of DESC) = 1),
    after AS (SELECT * FROM events
        WHERE event_at >= TIMESTAMP '{end}' AND event_at < TIMESTAMP '{end}' + INTERVAL 7 DAY),
    touched AS (SELECT DISTINCT user_id, unnest(tags) AS name FROM after),
    had AS (SELECT DISTINCT user_id, item_id AS name FROM after WHERE item_id IS NOT NULL),
    interests AS (SELECT user_id, entry.interest.tag AS name, entry.interest.affinity AS affinity,
            entry.interest.rank AS place FROM newest CROSS JOIN unnest(interests) AS entry (interest))
"""
# Of users who come: how many of the first three tags and of the first ten items they touch, by each ranking.
HITS = f"""
WITH {NEXT_WEEK},
    before AS (SELECT * FROM sessions WHERE is_counted AND started_at < TIMESTAMP '{{end}}'),
    last AS (SELECT user_id, unnest(tags) AS name FROM (SELECT * FROM before
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY started_at DESC) = 1)),
    tags AS (SELECT name, count(*) AS users, row_number() OVER (ORDER BY users DESC, name) AS place
        FROM (SELECT DISTINCT user_id, unnest(tags) AS name FROM before) GROUP BY name),
    items AS (SELECT name, count(*) AS users, row_number() OVER (ORDER BY users DESC, name) AS place
        FROM (SELECT DISTINCT user_id, unnest(events).item_id AS name FROM before)
        WHERE name IS NOT NULL GROUP BY name),
    by_last AS (SELECT user_id, name, row_number() OVER (
            PARTITION BY user_id ORDER BY last.name IS NULL, tags.place) AS place
        FROM newest CROSS JOIN tags LEFT JOIN last USING (user_id, name)),
    listed AS (
        SELECT 'tags by profiles' AS ranking, user_id, name FROM interests WHERE place <= 3
        UNION ALL SELECT 'tags by last session', user_id, name FROM by_last WHERE place <= 3
        UNION ALL SELECT 'tags by popularity', user_id, name FROM newest CROSS JOIN tags WHERE place <= 3
        UNION ALL SELECT 'items by profiles', user_id, unnest(top_items).item_id FROM newest
        UNION ALL SELECT 'items by popularity', user_id, name FROM newest CROSS JOIN items WHERE place <= 10),
    come AS (SELECT user_id, 'tags' AS kind, name FROM touched UNION ALL SELECT user_id, 'items', name FROM had)
SELECT ranking, count(come.name) / count(DISTINCT listed.user_id) AS hits
FROM listed LEFT JOIN come
    ON come.user_id = listed.user_id AND come.name = listed.name AND starts_with(ranking, come.kind)
WHERE listed.user_id IN (SELECT user_id FROM come) GROUP BY ranking
"""
RELIABILITY = f"""
WITH {NEXT_WEEK},
    predicted AS (
        SELECT 'interest' AS of, affinity AS probability,
            (user_id, name) IN (SELECT (user_id, name) FROM touched) AS is_true
        FROM interests
        UNION ALL SELECT 'return', return_probability, user_id IN (SELECT user_id FROM after) FROM newest),
    placed AS (SELECT *, ntile(5) OVER (PARTITION BY of ORDER BY probability) AS fifth FROM predicted)
SELECT of, fifth, avg(probability) AS predicted, avg(CAST(is_true AS INT)) AS came_true
FROM placed GROUP BY of, fifth ORDER BY of, fifth
"""


def next_week(sql: str, as_of: date) -> str:
    """Return HITS or RELIABILITY for the profiles by a day."""
    return sql.format(as_of=as_of, end=as_of + timedelta(days=1))
