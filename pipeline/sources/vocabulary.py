"""The names by which logs call their columns and event types, as plain lists; `guess` matches columns against them.

Names are compared in lower case without punctuation: `User-ID`, `userId` and `user_id` are one name. A list is in order
of preference. Sources: GA4's export, Snowplow's atomic.events, Segment's common fields, PostHog, Matomo, W3C extended
logs, nginx and Apache, and the public logs of Taobao, RetailRocket, REES46, Otto, Diginetica, MovieLens and Globo.
"""

import re

# Each inner list is a tier. Two columns of one tier are equally good, so the guess is not sure.
USERS = (
    ("userid", "user", "useridentifier"),
    ("uid", "visitorid", "visitor", "customerid", "customer", "memberid", "member", "accountid", "account", "personid",
     "person", "profileid", "distinctid", "subjectid", "shopperid", "buyerid", "reviewerid", "clientuserid", "login",
     "username", "email", "readerid", "playerid", "listenerid", "studentid", "employeeid"),
    ("remoteuser", "logname", "csusername", "authuser", "hashedipaddress", "hashedip"),
)  # fmt: skip
COLUMNS: dict[str, tuple[str, ...]] = {
    "device_id": (
        "deviceid", "device", "anonymousid", "userpseudoid", "domainuserid", "networkuserid", "cookieid", "cookie",
        "browserid", "clientid", "ganonymousid", "fingerprint", "visitortoken", "installid", "installationid",
        "deviceuuid",
    ),
    "event_at": (
        "eventat", "derivedtstamp", "eventtimestamp", "eventtime", "eventdatetime", "timestamp", "ts", "time",
        "datetime",
        "timeiso8601", "occurredat", "happenedat", "clicktimestamp", "clicktime", "viewtime", "epoch", "unixtime",
        "timestampms", "servertime", "requesttime", "timelocal", "at", "createdat", "createdtime", "millis", "moment",
        "actiontime", "visittime", "logtime", "eventdate", "date",
    ),
    "received_at": ("receivedat", "received", "collectortstamp", "receivetime", "ingestedat", "serverreceivedat"),
    "sent_at": ("sentat", "sent", "dvcesenttstamp", "senttime"),
    "created_at": ("originaltimestamp", "dvcecreatedtstamp", "created", "clienttimestamp", "clienttime", "devicetime"),
    "event_type": (
        "eventname", "eventtype", "eventaction", "event", "type", "action", "behavior", "behaviour", "behaviortype",
        "actiontype", "activity", "activitytype", "interaction", "interactiontype", "kind", "verb", "operation",
        "method", "requestmethod", "csmethod", "httpmethod",
    ),
    "item_id": (
        "itemid", "item", "productid", "product", "sku", "articleid", "article", "contentid", "content",
        "clickarticleid",
        "movieid", "asin", "trackid", "songid", "videoid", "bookid", "documentid", "objectid", "offerid", "adid",
        "postid", "newsid", "courseid", "pageid", "goodsid", "tisku", "aid",
    ),
    "page": (
        "path", "pageurlpath", "pagepath", "requesturi", "uri", "csuristem", "pagelocation", "url", "pageurl", "page",
        "request", "href", "link", "location",
    ),
    "tags": (
        "tags", "tag", "topics", "topic", "interests", "categories", "category", "categorycode", "categoryname",
        "categoryid",
        "itemcategory", "productcategory", "genres", "genre", "keywords", "section", "labels", "department", "cat",
    ),
    "event_id": ("eventid", "messageid", "eventuuid", "uuid", "guid", "insertid", "hitid", "requestid", "id"),
    "session_id": (
        "sessionid", "session", "usersession", "gasessionid", "domainsessionid", "visitid", "sid", "sessionkey",
    ),
    "sequence": ("sequence", "sequencenumber", "seq", "batcheventindex", "eventindex", "hitnumber", "eventsequence"),
    "url": ("url", "pageurl", "href", "pagelocation", "requesturi", "uri", "path", "csuristem", "link"),
    "referrer": ("referrer", "referer", "pagereferrer", "httpreferer", "httpreferrer", "csreferer"),
    "user_agent": ("useragent", "httpuseragent", "agent", "ua", "csuseragent", "browseragent"),
    "ip": ("ip", "ipaddress", "remoteaddr", "clientip", "cip", "useripaddress", "host", "remotehost", "remoteip"),
    "dwell_seconds": ("dwellseconds", "dwell", "dwelltime", "durationseconds", "durationinsec", "timeonpage"),
    "consent": ("consent", "hasconsent", "analyticsconsent", "trackingconsent"),
    "status": ("status", "response", "scstatus", "statuscode", "responsecode", "httpstatus"),
}  # fmt: skip

# Objects around a value that describe the visit: a device.category is no topic.
OF_THE_VISIT = frozenset(
    ("device", "browser", "os", "geo", "app", "screen", "network", "platform", "trafficsource", "campaign", "library")
)

# What an event type means: canonical name, weight, and the words that logs use for it.
EVENT_TYPES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("view", 1.0, ("view", "views", "pv", "pageview", "viewitem", "productviewed", "productview", "itemview", "page",
                   "pageviewed", "viewed", "screen", "screenview", "detail", "browse", "read", "open", "get", "look",
                   "impression", "contentview", "viewproduct", "pageview", "show", "visit")),
    ("click", 1.0, ("click", "clicks", "clk", "linkclick", "tap", "select", "selectitem", "clicked", "linkclicked")),
    ("search", 1.5, ("search", "query", "viewsearchresults", "searched", "productssearched")),
    ("like", 2.0, ("like", "fav", "favorite", "favourite", "favor", "wish", "wishlist", "addtowishlist", "bookmark",
                   "save", "star", "upvote", "collect", "liked")),
    ("cart", 2.0, ("cart", "addtocart", "addcart", "basket", "addtobasket", "productadded", "atc", "tocart")),
    ("share", 2.0, ("share", "shared", "repost", "retweet")),
    ("purchase", 3.0, ("purchase", "buy", "transaction", "order", "ordercompleted", "orderplaced", "checkoutcompleted",
                       "pay", "payment", "bought", "purchased", "sale", "conversion")),
    ("play", 1.0, ("play", "listen", "watch", "stream", "videoplay", "played")),
    ("rate", 1.0, ("rate", "rating", "review", "rated")),
    ("submit", 1.0, ("post", "submit", "formsubmit")),
    ("ping", 0.0, ("ping", "pageping", "heartbeat", "userengagement")),
    ("start", 0.0, ("sessionstart", "firstvisit", "start", "firstopen", "appopen")),
)  # fmt: skip
HTTP_METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND"})
# A hint in the values of a column without a name: u-17, user_5, i01, sku-4711.
USER_PREFIX = r"(.*[-_.])?(u|user|usr|visitor|customer|cust|member|client)[-_.]?[0-9]+"
ITEM_PREFIX = r"(.*[-_.])?(i|item|itm|p|prod|product|sku|art|article|page|asin)[-_.]?[0-9]+"
# Texts that clients and exports write where they have no value, in lower case: of JavaScript, SQL, exports of MySQL,
# pandas, R and web servers (two quotes for an empty name: Apache's mod_log_config); and where they know no person.
# ZEROS matches 0, 0.0, - and a UUID of zeros.
NO_VALUES = (
    "", "-", "null", "none", "undefined", "nan", "na", "n/a", "nil", "\\n", '""', "''", "(null)", "<null>", "<na>",
    "not set", "(not set)", "(none)", "[object object]",
)  # fmt: skip
NO_PERSON = ("unknown", "anonymous")
ZEROS = "[-0]+([.]0+)?"


def plain_name(name: str) -> str:
    """Return a name as the lists above spell it."""
    return re.sub("[^a-z0-9]", "", name.lower())


def meaning_of(event_type: str) -> tuple[str, float, bool]:
    """Return the canonical name and the weight of an event type, and whether its word is known."""
    plain = plain_name(event_type)
    for canonical, weight, words in EVENT_TYPES:
        if plain in words or plain.removesuffix("s") in words:
            return canonical, weight, True
    own = re.sub("_+", "_", re.sub("[^a-z]", "_", event_type.lower())).strip("_")
    return own or "other", 1.0, False
