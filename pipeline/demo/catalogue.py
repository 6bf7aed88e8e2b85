"""The items of the demo's shop, how popular each is, and the words in its log."""

import json
from dataclasses import dataclass

import numpy as np

from pipeline.demo.plan import DAY_MS, DemoPlan, Floats, Ints

# Within a theme one interest leads to the next: from running to trail running, then to a marathon.
THEMES = (
    ("running", "trail-running", "marathon", "triathlon", "recovery"),
    ("hiking", "camping", "bushcraft", "climbing", "ski-touring"),
    ("coffee", "espresso", "home-roasting", "tea", "fermenting"),
    ("baking", "sourdough", "pastry", "pizza", "grilling"),
    ("cycling", "gravel-bikes", "bike-repair", "bikepacking", "road-racing"),
    ("photography", "street-photography", "film-cameras", "darkroom", "drones"),
    ("guitar", "vinyl", "piano", "synthesizers", "home-recording"),
    ("houseplants", "seeds", "vegetable-garden", "greenhouse", "beekeeping"),
    ("lighting", "interior-design", "woodworking", "power-tools", "furniture-restoring"),
    ("board-games", "miniatures", "role-playing", "chess", "retro-consoles"),
    ("electronics", "mechanical-keyboards", "home-servers", "3d-printing", "robotics"),
    ("baby-care", "picture-books", "wooden-toys", "school-supplies", "family-travel"),
)

QUALITIES = (
    "Light", "Sturdy", "Compact", "Classic", "Quiet", "Foldable", "Everyday", "Handmade", "Refurbished", "Weatherproof",
    "First", "Complete", "Slim", "Portable", "Bright",
)  # fmt: skip
PRODUCTS = (
    "Starter Kit", "Guide", "Case", "Toolset", "Stand", "Bag", "Handbook", "Sampler", "Spare Parts", "Upgrade",
    "Gift Box", "Organiser", "Cover", "Course", "Bundle", "Monitor", "Timer", "Set for Two",
)  # fmt: skip
QUERIES = ("{}", "best {}", "{} for beginners", "{} under 50", "used {}", "{} review", "how to start {}")

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
    "Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
)

CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 "
    "Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
)

# Addresses reserved for documentation (RFC 5737).
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")

ITEMS_PER_TAG = 25
SECOND_TAG_SHARE = 0.45
SECOND_TAG_IN_THEME = 0.75
REVISED_SHARE = 0.04
ITEM_POPULARITY_EXPONENT = 0.8  # Zipf's law among the items of a tag
TAG_POPULARITY_EXPONENT = 0.5

TAGS = tuple(tag for theme in THEMES for tag in theme)
THEME_SIZE = len(THEMES[0])


@dataclass(frozen=True)
class Catalogue:
    """Items by number. A tag is an index into TAGS.

    titles, first_tag, second_tag, updated_ms: per item; second_tag is -1 for an item of one tag.
    items_by_tag: (tag, rank), items by first_tag, the most popular first. tag_popularity: share of each tag.
    revised: items that also have an outdated record.
    """

    titles: tuple[str, ...]
    first_tag: Ints
    second_tag: Ints
    items_by_tag: Ints
    tag_popularity: Floats
    updated_ms: Ints
    revised: Ints

    @property
    def item_popularity(self) -> Floats:
        """Return each item's share of the events that follow popularity alone."""
        shares = np.zeros(len(self.titles))
        shares[self.items_by_tag] = self.tag_popularity[:, None] * rank_shares(ITEMS_PER_TAG)[None, :]
        return shares

    def tags_of(self, item: int) -> list[str]:
        """Return the one or two tags of an item, the main one first."""
        return [TAGS[tag] for tag in (self.first_tag[item], self.second_tag[item]) if tag >= 0]


def item_name(item: int) -> str:
    """Return the id that the log gives an item."""
    return f"i-{item:04d}"


def next_in_theme(tag: int) -> int:
    """Return the interest that usually follows this one."""
    theme, place = divmod(tag, THEME_SIZE)
    return theme * THEME_SIZE + (place + 1) % THEME_SIZE


def rank_shares(ranks: int, exponent: float = ITEM_POPULARITY_EXPONENT) -> Floats:
    """Return the share of each rank by Zipf's law; they add up to 1."""
    weights = np.arange(1, ranks + 1, dtype=np.float64) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares


def make_catalogue(plan: DemoPlan) -> Catalogue:
    """Make the items. Each has a main tag; less than half have a second one, mostly of the same theme."""
    rng = plan.rng("catalogue")
    items = ITEMS_PER_TAG * len(TAGS)
    order = rng.permutation(items)
    first_tag = np.empty(items, dtype=np.int64)
    items_by_tag = order.reshape(len(TAGS), ITEMS_PER_TAG)
    first_tag[items_by_tag] = np.arange(len(TAGS))[:, None]

    theme, place = np.divmod(first_tag, THEME_SIZE)
    sibling = theme * THEME_SIZE + (place + rng.integers(1, THEME_SIZE, items)) % THEME_SIZE
    stranger = (first_tag + rng.integers(1, len(TAGS), items)) % len(TAGS)
    second_tag = np.where(rng.random(items) < SECOND_TAG_IN_THEME, sibling, stranger)
    second_tag[rng.random(items) >= SECOND_TAG_SHARE] = -1
    return Catalogue(
        titles=tuple(_title(rng, TAGS[tag]) for tag in first_tag),
        first_tag=first_tag,
        second_tag=second_tag,
        items_by_tag=items_by_tag,
        tag_popularity=rng.permutation(rank_shares(len(TAGS), TAG_POPULARITY_EXPONENT)),
        updated_ms=plan.start_ms - rng.integers(DAY_MS, 300 * DAY_MS, items),
        revised=np.flatnonzero(rng.random(items) < REVISED_SHARE),
    )


def catalogue_lines(catalogue: Catalogue) -> list[str]:
    """Return the lines of the catalogue file: outdated records (another title, no second tag), then all items."""
    old = [_line(catalogue, int(item), is_old=True) for item in catalogue.revised]
    return old + [_line(catalogue, item, is_old=False) for item in range(len(catalogue.titles))]


def _line(catalogue: Catalogue, item: int, *, is_old: bool) -> str:
    updated_ms = int(catalogue.updated_ms[item]) - (30 * DAY_MS if is_old else 0)
    record = {
        "item": item_name(item),
        "title": f"{catalogue.titles[item]} (old)" if is_old else catalogue.titles[item],
        "tags": catalogue.tags_of(item)[: 1 if is_old else 2],
        "updated_at": f"{np.datetime64(updated_ms, 'ms')}Z",
    }
    return json.dumps(record)


def _title(rng: np.random.Generator, tag: str) -> str:
    quality, product = QUALITIES[rng.integers(len(QUALITIES))], PRODUCTS[rng.integers(len(PRODUCTS))]
    return f"{quality} {tag.replace('-', ' ').title()} {product}"
