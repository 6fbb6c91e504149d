"""The model's name where neither path nor configuration tells it: the body's word first, then fields of the heads.

Pure. The fields are those by which gateways choose a model among several behind one address, or servers say which one
answered; whoever sets them names the model only after an answer of 2xx, as with any other name.
"""

from typing import Final

from exporter.records.exchange import Exchange, header
from exporter.records.observation import Observation

# Seldon Core 2, ModelMesh (the alias before the model behind it); MLServer's answer.
REQUEST_FIELDS: Final = (b"seldon-model", b"mm-vmodel-id", b"mm-model-id")
RESPONSE_FIELDS: Final = (b"ce-modelid",)


def told_name(exchange: Exchange, found: Observation) -> str:
    """The name, "" where nothing tells it; printable text only."""
    if found.model_name:
        return found.model_name
    for head, fields in ((exchange.request_head, REQUEST_FIELDS), (exchange.response_head, RESPONSE_FIELDS)):
        for field in fields:
            value = header(head, field).decode("latin-1")
            if value and value.isprintable():
                return value
    return ""
