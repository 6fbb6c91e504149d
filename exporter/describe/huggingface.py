"""Hugging Face's `config.json`: architecture and sizes of a transformer, its dropouts, the library that wrote it."""

from typing import BinaryIO, Final

from exporter.describe.description import Description, describe
from exporter.describe.reading import chosen, mapping_of_json, without

NAMES: Final = ("config.json",)
_ENVIRONMENT: Final = ("transformers_version", "torch_dtype", "dtype", "quantization_config")
_PREPROCESSING: Final = (
    *("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id"),
    *("tokenizer_class", "max_position_embeddings", "type_vocab_size"),
)
_ARCHITECTURE: Final = ("architectures", "model_type", "id2label", "num_labels", "problem_type")


def read(stream: BinaryIO) -> Description:
    """What is no other section is a hyper-parameter: sizes, activations, positions."""
    found = mapping_of_json(stream)
    regularisation = {
        key: value for key, value in found.items() if "dropout" in key or key.endswith("_decay")
    }
    elsewhere = (*_ENVIRONMENT, *_PREPROCESSING, *_ARCHITECTURE, *regularisation)
    name = found.get("_name_or_path")
    return describe(
        {
            "name": name if isinstance(name, str) and not name.startswith((".", "/")) else "",
            "version": found.get("_commit_hash"),
            "architecture": chosen(found, *_ARCHITECTURE),
            "hyperparameters": without(found, *elsewhere, "_name_or_path", "_commit_hash", "label2id"),
            "regularisation": regularisation,
            "preprocessing": chosen(found, *_PREPROCESSING),
            "environment": chosen(found, *_ENVIRONMENT),
        },
        "huggingface",
    )
