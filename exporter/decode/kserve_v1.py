"""KServe V1: POST /v1/models/{name}:predict, {"instances"|"inputs": rows} -> {"predictions": rows}.

Rows may be scalars, lists, nested lists or objects; objects name the columns. The body names nothing else, so a
dense input is `input` or input_0, input_1, …, whichever key it came under (the two are equivalent), and a dense
output is `prediction` or prediction_0, … The model's name is in the path only.

TensorFlow Serving answers on the same path. What only it says (see `speaks`) is handed over to it; where both would
say the same, the exchange is this dialect's.
"""

from exporter.decode import tensorflow_serving
from exporter.decode.payload import parse_object
from exporter.decode.rows import either, paired, row_table
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable

NAME = "kserve_v1"


def claims(exchange: Exchange) -> bool:
    """True for an inference request, as the route table recognised it."""
    return exchange.protocol == NAME and exchange.operation == "predict"


def decode(exchange: Exchange) -> Observation:
    """The Observation; row n of the predictions belongs to instance n. Raises Undecodable."""
    request = parse_object(exchange.request_body)
    response = parse_object(exchange.response_body)
    if tensorflow_serving.speaks(exchange.path, request, response):
        return tensorflow_serving.read(request, response)
    inputs = row_table(either(request, "instances", "inputs"), "input")
    outputs = row_table(either(response, "predictions", "outputs"), "output")
    return paired(NAME, inputs, outputs)


def request(exchange: Exchange) -> Observation:
    """What the request says without an answer. Raises Undecodable."""
    asked = parse_object(exchange.request_body)
    if tensorflow_serving.speaks(exchange.path, asked, {}):
        return tensorflow_serving.read_request(asked)
    given = asked.get("inputs")
    if type(given) is dict and len({type(cells) is list for cells in given.values()}) > 1:
        raise Undecodable("ambiguous_rows")  # one row here, tensors with and without dimensions there
    return Observation(NAME, *row_table(either(asked, "instances", "inputs"), "input"), (), answered=False)
