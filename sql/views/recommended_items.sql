-- Which items should each user be shown next, and why?
-- One row per user and item of the newest profiles; the best item has rank 1.
-- item_id: id of the item in its space
-- title: title in the catalogue, null where it has none
-- rank: rank by score, from 1
-- score: where a training promoted a ranking of items: probability of an event with the item within horizon_days, 0 to
--   1; else for ranking within the user only
-- reason: repeat, the user has an event with it; interest, it is popular in reason_tag; followed, it occurs in similar
--   sessions with reason_item_id; popular, in general; null in profiles of earlier releases
-- reason_tag: the interest for which it is listed; null for other reasons
-- reason_item_id: id of an item of the user, with which it occurs in sessions of others; null for other reasons
SELECT
    user_id,
    as_of,
    horizon_days,
    entry.item.item_id AS item_id,
    entry.item.title AS title,
    row_number() OVER (PARTITION BY user_id ORDER BY entry.item.score DESC, entry.item.item_id) AS rank,
    entry.item.score AS score,
    entry.item.reason AS reason,
    entry.item.reason_tag AS reason_tag,
    entry.item.reason_item_id AS reason_item_id
FROM current_profiles
CROSS JOIN unnest(top_items) AS entry (item)
