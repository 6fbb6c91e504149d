"""MLflow: POST /invocations, one of dataframe_split, dataframe_records, instances, inputs -> {"predictions": rows}.

CSV requests have a header record. Version 1 is read too: a bare split object or list of records, answered with a bare
list. No name, version or id is on the wire; `params` are the call's, not the rows'.

SageMaker containers serve the same path. What only they say in a head is theirs (`invocations`); so is what only they
mean by a body: a list of lists, `features`, and CSV with as many records as the answer has rows, that is without a
header.
"""

from collections.abc import Sequence
from typing import Any

from exporter.decode import sagemaker
from exporter.decode.columns import checked
from exporter.decode.heads import CSV, is_json, media_type
from exporter.decode.invocations import shared, speaks_sagemaker
from exporter.decode.payload import parse, required
from exporter.decode.readings import Reading, agree, alone, as_fields, as_rows, readings
from exporter.decode.tables import Records, column_names, csv_records, named_rows
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable

NAME = "mlflow"
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def claims(exchange: Exchange) -> bool:
    """True for an inference request labelled so, and on /invocations unless a head says SageMaker."""
    if shared(exchange):
        return not speaks_sagemaker(exchange)
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the predictions belongs to row n of the data. Raises Undecodable."""
    media = media_type(exchange.request_head)
    if media in CSV:
        records, outputs = csv_records(exchange.request_body), _answer(exchange)
        if not outputs or not _has_header(records, outputs):
            return sagemaker.decode(exchange)
        inputs = Reading(records.count - 1, lambda: records.named("input", "input"))
    elif media and not is_json(media):
        raise Undecodable("content_type")
    else:
        value = parse(exchange.request_body)
        if _only_sagemaker(value):
            return sagemaker.decode(exchange)
        inputs, outputs = _data(value), _answer(exchange)
        if not outputs:
            raise Undecodable("missing_field")
    rows, (features, predictions) = agree([inputs], outputs)
    return Observation(NAME, rows, checked(features), checked(predictions))


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer; of CSV only a header that shows. Raises Undecodable."""
    media = media_type(exchange.request_head)
    if media in CSV:
        records = csv_records(exchange.request_body)
        if not records.has_header:
            raise Undecodable("ambiguous_rows")
        return alone(NAME, [Reading(records.count - 1, lambda: records.named("input", "input"))])
    if media and not is_json(media):
        raise Undecodable("content_type")
    value = parse(exchange.request_body)
    return sagemaker.request(exchange) if _only_sagemaker(value) else alone(NAME, [_data(value)])


def _only_sagemaker(value: Any) -> bool:
    if type(value) is dict:
        return "features" in value and not any(form in value for form in _FORMS)
    return type(value) is list and dict not in map(type, value)


def _has_header(records: Records, outputs: Sequence[Reading]) -> bool:
    """Whether the answer has fewer rows than there are records; where it may have either number, cells decide."""
    if not records.count:
        raise Undecodable("not_csv")
    counts = {reading.rows for reading in outputs}
    if records.count not in counts:
        return True
    if records.count - 1 not in counts:
        return False
    if not records.has_header:
        raise Undecodable("ambiguous_rows")
    return True


def _data(value: Any) -> Reading:
    if type(value) is list:
        return as_rows("input", value, "input")
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    forms = [form for form in _FORMS if value.get(form) is not None]
    if not forms and "data" in value:
        return _split(value)
    if len(forms) != 1:
        raise Undecodable("missing_field" if not forms else "ambiguous_field")
    (form,) = forms
    if form == "dataframe_split":
        return _split(required(value, form, dict))
    if form == "dataframe_records":
        return as_rows("input", required(value, form, list), "input")
    return _tensors(value[form])


def _split(table: dict[str, Any]) -> Reading:
    rows = required(table, "data", list)
    if table.get("columns") is None:
        return as_rows("input", rows, "input")
    names = column_names(required(table, "columns", list))
    return Reading(len(rows), lambda: named_rows(names, rows, "input"))


def _tensors(value: Any) -> Reading:
    if type(value) is list:
        return as_rows("input", value, "input")
    if type(value) is dict and value and all(type(cells) is list for cells in value.values()):
        if len({len(cells) for cells in value.values()}) > 1:
            raise Undecodable("rows_differ")
        return as_fields(value, "input")
    return as_rows("input", [value], "input")


def _answer(exchange: Exchange) -> Sequence[Reading]:
    """How the answer can be read; () for an object without predictions."""
    value = parse(exchange.response_body)
    if type(value) is dict:
        value = value.get("predictions")
        if value is None:
            return ()
    if type(value) is list:
        return (as_rows("prediction", value, "output"),)
    return readings("prediction", value, "output")
