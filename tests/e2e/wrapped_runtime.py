"""A model of MLServer's own kind, to be served by it: one output, twice the input."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Twice(MLModel):
    """No weights; what it takes to start is the server itself."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One row for each."""
        values = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("predict", 2 * values)],
        )
