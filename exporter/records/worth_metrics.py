"""The catalogue's rows about what labels are worth: costs, KPIs, contests, and labels that were asked for."""

from exporter.records.metric import Metric

_MODEL = ("model_name", "model_version")
_SUM = ("maturity", "state", "role")

WORTH: tuple[Metric, ...] = (
    Metric(
        "model.cost.realised",
        "counter",
        "1",
        (*_MODEL, "output", "direction", *_SUM),
        "What labelled rows cost by the matrix of label_costs; gains apart from losses, neither negative.",
    ),
    Metric(
        "model.cost.expected",
        "counter",
        "1",
        (*_MODEL, "output", "direction", "role"),
        "What predicted rows are expected to cost by their scores, without labels; gains apart from losses.",
    ),
    Metric(
        "model.cost.rows",
        "counter",
        "{row}",
        (*_MODEL, "output", "role"),
        "Predicted rows that are in the expected costs: those with a score of one of two classes.",
    ),
    Metric(
        "model.kpi.value",
        "gauge",
        "1",
        (*_MODEL, "statistic", "role"),
        "A KPI (statistic) over its window of predictions; of a shared store every replica shows the same.",
    ),
    Metric(
        "model.kpi.target",
        "gauge",
        "1",
        ("statistic", "owner", "direction"),
        "The target of a KPI (statistic), whom it belongs to, and on which side of it is well (direction).",
    ),
    Metric(
        "model.kpi.rows",
        "gauge",
        "{row}",
        (*_MODEL, "statistic", "role"),
        "Labelled rows in the window of a KPI (statistic).",
    ),
    Metric(
        "model.contest.advantage",
        "gauge",
        "1",
        (*_MODEL, "output", "statistic", "champion", "comparison", "state", "role"),
        "By how much a challenger is better than the live champion, on rows that both scored (paired) or hour by hour "
        "on those of one of them (split), and limits (low, high) of 95 % that hold at every look.",
    ),
    Metric(
        "model.contest.rows",
        "gauge",
        "{row}",
        (*_MODEL, "output", "statistic", "champion", "comparison", "role"),
        "Labelled rows of a challenger that are compared with the champion's.",
    ),
    Metric(
        "model.contest.split",
        "counter",
        "1",
        (*_MODEL, "output", "statistic", "champion", "state", "role"),
        "Sums (state) over mature hours in which champion and challenger split the traffic: the advantage over a fleet "
        "and its limits are made of them.",
    ),
    Metric(
        "model.contest.left_out",
        "counter",
        "{row}",
        (*_MODEL, "output", "champion", "reason", "role"),
        "Labelled rows of a challenger in mature hours that are compared with nothing: either had too few in the hour "
        "(alone), both had the key (shared), or there are too many contests (crowded).",
    ),
    Metric(
        "model.performance.asked",
        "counter",
        "1",
        (*_MODEL, "output", "statistic", *_SUM),
        "Sums over rows whose label was asked for, each weighted by one over its chance of being asked for.",
    ),
    Metric(
        "model.label.requested",
        "counter",
        "{row}",
        (*_MODEL, "output", "reason", "role"),
        "Predicted rows whose label was asked for: at random, or because the score is uncertain.",
    ),
    Metric(
        "modeltap.label_requests.open",
        "gauge",
        "{row}",
        (),
        "Rows at /v1/label-requests whose label did not come yet.",
    ),
    Metric(
        "modeltap.label_requests.closed",
        "counter",
        "{row}",
        ("outcome",),
        "Rows that are no more at /v1/label-requests: answered, or forgotten for newer ones.",
    ),
)
