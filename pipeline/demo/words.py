"""The words that the demo's shop and its visitors are made of."""

# Within a theme one interest leads to the next: who is into running takes up trail running, then a marathon.
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
THINGS = (
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

# Reserved for documentation (RFC 5737): no one's addresses.
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
