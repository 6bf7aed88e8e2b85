"""The evaluation as one HTML page that needs nothing else: tables, plots, and what one sees in each."""

from collections.abc import Sequence
from html import escape
from math import isnan

from model.evaluation.backtest import Evaluation
from model.evaluation.report import Configuration
from model.evaluation.results import MAIN, WITH_INTERVALS, EvaluationResult, LeaderboardRow, Probabilities
from model.evaluation.svg import Bar, Line, grouped_dots, intervals, lines
from model.evaluation.tables import LABELS, interval, negated, parts, share, title

SHOWN_IN_PLOTS = 4  # contestants, where more would be a thicket
STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --ink: #23272e; --soft: #6b7280; --rule: #e3e5e8; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #e4e6ea; --soft: #9aa1ac; --rule: #30343b; --card: #1d2025; } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
.lead { font-size: 1.1rem; } .soft, figcaption { color: var(--soft); font-size: .92rem; }
figure { margin: .5rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
figcaption { margin-top: .5rem; } .wide { overflow-x: auto; }
svg { width: 100%; height: auto; display: block; }
table + table { margin-top: 1.5rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
tbody tr:first-child td { font-weight: 600; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; font-size: .86rem; margin: 0 0 .5rem; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .4rem; }
text { fill: var(--ink); font: 12.5px system-ui, sans-serif; }
text.tick, text.axis { fill: var(--soft); font-size: 11.5px; }
line.grid { stroke: var(--rule); } line.diagonal { stroke: var(--soft); stroke-dasharray: 2 4; }
polyline { fill: none; } polyline.dashed { stroke-dasharray: 5 4; opacity: .75; }
code { font-size: .85em; overflow-wrap: anywhere; }
"""
# Okabe and Ito's colours, told apart by the colour-blind too, in an order that reads on white and on black.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#888888")


def page(evaluation: Evaluation, configuration: Configuration) -> str:
    """Return the page."""
    best = evaluation.leaderboard.best
    sections = [
        f"<h1>Who foretells interests best?</h1><p class='soft'>{escape(title(evaluation))}</p>",
        f"<p class='lead'>{escape(_lead(evaluation))}</p>",
        _section(
            "All figures",
            "".join(_table(headings, part) for _, headings, part in parts(evaluation)),
            _about_the_table(),
        ),
        *(_intervals(evaluation, metric) for metric in WITH_INTERVALS),
        _cohorts(evaluation),
        _repeat_and_new(evaluation),
        _reliability(best),
        _learning(evaluation),
        _returning(evaluation),
        _how(evaluation, configuration),
    ]
    colours = "".join(
        f".c{number} {{ fill: {colour}; background: {colour}; }} .s{number} {{ stroke: {colour}; stroke-width: 2; }} "
        for number, colour in enumerate(PALETTE)
    )
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Evaluation as of {evaluation.split.test}</title><style>{STYLE}{colours}</style></head>"
        f"<body>{''.join(section for section in sections if section)}</body></html>\n"
    )


def _lead(evaluation: Evaluation) -> str:
    best, *others = evaluation.leaderboard.rows
    told = f"{best.judged.name} ranks best, nDCG@10 {share(best.judged.figures[MAIN])}."
    if others and others[0].against_best:
        lead = negated(others[0].against_best[MAIN])
        sure = "more than chance" if lead.low > 0 else "which may be chance"
        told += f" It leads {others[0].judged.name} by {interval(lead)}, {sure}."
    if best.against_counts:
        told += f" Against the built-in counts it is {interval(best.against_counts[MAIN])}."
    return told


def _intervals(evaluation: Evaluation, metric: str) -> str:
    name = LABELS[metric]
    bars = [_row_of(row, metric, place) for place, row in enumerate(evaluation.leaderboard.rows)]
    behind = [
        one for one in evaluation.leaderboard.rows if one.against_best is not None and one.against_best[metric].high < 0
    ]
    sees = "The dot is the mean over users, the line its 95 % interval."
    if len(bars) > 1:
        sees += (
            f" {len(behind)} of {len(bars) - 1} others lie below {evaluation.leaderboard.best.name} for certain: "
            f"compared user by user, which tells more apart than the lines do."
        )
    return _section(f"{name} by contestant", intervals(bars, name, f"{name} by contestant"), sees)


def _row_of(row: LeaderboardRow, metric: str, place: int) -> tuple[str, Bar]:
    found = row.intervals[metric]
    hint = f"{row.judged.name}: {share(found.mean)} [{share(found.low)}, {share(found.high)}]"
    return row.judged.name, Bar(found.mean, found.low, found.high, place, hint)


def _cohorts(evaluation: Evaluation) -> str:
    shown = _shown(evaluation)
    groups = []
    for cohort, users in shown[0].users_of.items():
        bars = _dots(shown, [one.cohort_figures[cohort][MAIN] for one in shown], cohort)
        groups.append((f"{cohort} ({users:,})", bars))
    best = shown[0]
    known = {cohort: figures[MAIN] for cohort, figures in best.cohort_figures.items() if not isnan(figures[MAIN])}
    easiest, hardest = max(known, key=lambda one: known[one]), min(known, key=lambda one: known[one])
    sees = (
        f"{best.name} does best for users of “{easiest}” ({share(known[easiest])}) and worst for “{hardest}” "
        f"({share(known[hardest])}). In brackets: users who touched a tag in the window. Cold is one session of fewer "
        f"than three events."
    )
    plot = _key([one.name for one in shown]) + grouped_dots(groups, "nDCG@10", "nDCG@10 by cohort")
    return _section("By how much is known of a user", plot, sees)


def _dots(shown: Sequence[EvaluationResult], values: Sequence[float], what: str) -> list[Bar]:
    """Return a dot for each contestant that has the value."""
    return [
        Bar(value, value, value, place, f"{one.name}, {what}: {share(value)}")
        for place, (one, value) in enumerate(zip(shown, values, strict=True))
        if not isnan(value)
    ]


def _repeat_and_new(evaluation: Evaluation) -> str:
    names = {"repeat_recall_at_10": "touched before", "new_recall_at_10": "never touched before"}
    shown = _shown(evaluation)
    groups = [(name, _dots(shown, [one.figures[metric] for one in shown], name)) for metric, name in names.items()]
    best = shown[0].figures
    sees = (
        f"Of the tags that users had touched before and came back to, {shown[0].name} has "
        f"{share(best['repeat_recall_at_10'])} among its ten; of those new to the user "
        f"{share(best['new_recall_at_10'])}."
    )
    plot = _key([one.name for one in shown]) + grouped_dots(groups, "recall@10", "recall of repeated and of new tags")
    return _section("Tags returned to, and new ones", plot, sees)


def _reliability(best: EvaluationResult) -> str:
    drawn = []
    for name, probabilities, is_dashed in (("before calibration", best.before, True), ("after", best.after, False)):
        if probabilities:
            points = [(point.predicted, point.observed) for point in probabilities.points]
            drawn.append(Line(name, points, 1 if is_dashed else 0, is_dashed))
    if not drawn:
        return ""
    told = [
        f"{name} it is {share(one.ece)}"
        for name, one in (("before calibration", best.before), ("after", best.after))
        if one
    ]
    sees = (
        f"On the dotted line what is foretold comes true as often as foretold. The mean gap is the calibration error: "
        f"{', '.join(told)}.{_fit(best)}"
    )
    plot = _key([line.name for line in drawn], [line.colour for line in drawn]) + lines(
        drawn, "foretold probability", "share that came true", f"reliability of {best.name}", has_diagonal=True
    )
    return _section(f"Can the probabilities of {best.name} be believed?", plot, sees)


def _fit(best: EvaluationResult) -> str:
    before, after, calibrator = best.before, best.after, best.learnt.calibrator
    if calibrator is None or after is None:
        return " It did not exist at the validation cut, so nothing could be fitted to it."
    way = f" Fitted on the validation cut, by {calibrator.as_json()['method']}."
    if before is None:
        return way + " Its strengths are no probabilities, so there is no line before."
    return way + (" It did no good on the test cut." if _is_worse(after, before) else "")


def _is_worse(after: Probabilities, before: Probabilities) -> bool:
    return after.ece > before.ece


def _learning(evaluation: Evaluation) -> str:
    learners = [one.judged for one in evaluation.leaderboard.rows if one.judged.learning_curve]
    drawn, axes = [], set()
    for number, judged in enumerate(learners):
        curve = judged.learning_curve
        assert curve is not None
        drawn.append(Line(judged.name, list(zip(curve.step, curve.value, strict=True)), number))
        axes.add((curve.step_name, curve.value_name))
    if not drawn:
        return ""
    steps, values = (" or ".join(sorted(names)) for names in zip(*axes, strict=True))
    last = ", ".join(f"{line.name} ends at {line.points[-1][1]:.3f}" for line in drawn if line.points)
    plot = _key([line.name for line in drawn]) + lines(drawn, steps, values, "learning curves")
    return _section("How they learnt", plot, f"{last}. A line that still rises at its end was stopped too early.")


def _returning(evaluation: Evaluation) -> str:
    if not evaluation.return_auc:
        return ""
    ranked = sorted(evaluation.return_auc.items(), key=lambda one: (isnan(one[1]), -one[1]))
    sees = (
        f"{evaluation.returned_users:,} of {evaluation.users:,} users came back in the window. .5 is a coin, 1 is "
        f"certainty."
    )
    return _section("Who comes back?", _table(("contestant", "AUC"), [[n, share(auc)] for n, auc in ranked]), sees)


def _how(evaluation: Evaluation, configuration: Configuration) -> str:
    split = evaluation.split
    taught = ", ".join(str(cutoff) for cutoff in split.taught)
    return (
        f"<h2>How it was judged</h2><p class='soft'>Each cut asks what users touch in the {split.horizon_days} days "
        f"after it. Taught at {taught}; settings, thresholds and calibration chosen at {split.validation}; refitted "
        f"and judged at {split.test}. Every contestant was prepared again with another future and had to say the same; "
        f"each had to say of a user alone what it says in company. Intervals hold 95 % of 1,000 resamples of users.<br>"
        f"Data snapshot {configuration.values['sequences_snapshot']}, configuration "
        f"<code>{configuration.hash}</code></p>"
    )


def _about_the_table() -> str:
    return (
        "Best first. Means over users who touched a tag in the window; ECE over each user's ten strongest tags; Brier "
        "over all pairs of user and tag; capped recall divides by at most ten; coverage is the share of tags in "
        "anybody's ten. A dash is a figure that is not defined."
    )


def _shown(evaluation: Evaluation) -> list[EvaluationResult]:
    return [row.judged for row in evaluation.leaderboard.rows[:SHOWN_IN_PLOTS]]


def _section(heading: str, inner: str, sees: str) -> str:
    return (
        f"<h2>{escape(heading)}</h2><figure><div class='wide'>{inner}</div>"
        f"<figcaption>{escape(sees)}</figcaption></figure>"
    )


def _table(headings: Sequence[str], every_row: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in every_row)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _key(names: Sequence[str], colours: Sequence[int] | None = None) -> str:
    numbers = colours or range(len(names))
    entries = (f"<span><i class='c{n}'></i>{escape(name)}</span>" for n, name in zip(numbers, names, strict=True))
    return f"<div class='key'>{''.join(entries)}</div>"
