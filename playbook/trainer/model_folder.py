"""What must hold of a base model's folder before anything of it is read: plain data alone, no code, nothing hidden.

Looks at names and JSON; must not import torch or transformers.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError

_CONFIGURATIONS = ("config.json", "tokenizer_config.json", "generation_config.json")
#: What a configuration must say of a decoder, and what it may; both by the names that transformers maps all to.
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
_MORE_SIZES = ("num_key_value_heads", "head_dim", "intermediate_size")
#: A safetensors file begins with the length of its JSON header, 8 bytes little-endian; longer ones than this the
#: library refuses.
_LENGTH_BYTES, _LONGEST_HEADER = 8, 100_000_000
#: Two of 4 bits; twice that, for the number of weights is an estimate.
_MOST_WEIGHTS_A_BYTE = 4
#: What rows are turned into tokens by, beside the configurations.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja")
#: The same in older models, beside any *.model.
_OLDER_TOKENIZERS = ("special_tokens_map.json", "added_tokens.json", "chat_template.json")
#: Places of a weights file that are read, and bytes at each: tuning changes nearly every weight.
_PLACES, _PLACE_BYTES = 256, 4096


def require_plain(folder: Path) -> None:
    """Raise RunError(base_model_unreadable) unless the folder holds safetensors and configurations without code."""
    _require_safetensors(folder)
    _require_index_inside(folder)
    _refuse_adapter(folder)
    for name in _CONFIGURATIONS:
        _refuse_code(folder / name)
    _refuse_whole_numbers(folder)


def require_sizes(config: Any) -> None:
    """Raise TypeError or ValueError when a size in a transformers configuration is missing or none."""
    for name in _SIZES:
        if not isinstance(getattr(config, name), int):
            raise TypeError(f"{name} is no whole number")
    for name in (*_SIZES, *_MORE_SIZES):
        size = getattr(config, name, None)
        if isinstance(size, int) and size < 1:
            raise ValueError(f"{name} is {size}")


def require_weights_for(parameters: int, folder: Path) -> None:
    """Raise RunError when the files cannot hold so many weights: to build a model that large could take for ever."""
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if parameters > size_bytes * _MOST_WEIGHTS_A_BYTE:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The config.json of base model {folder.name!r} describes about {parameters:,} weights, and its "
            f"safetensors files have {size_bytes:,} bytes: they do not belong together. Fetch the base model again.",
        )


def plain_files(folder: Path) -> list[Path]:
    """Return the files beside the weights that decide what a model reads and says, those that are there."""
    names = {*_CONFIGURATIONS, *_TOKENIZERS, *_OLDER_TOKENIZERS, *(path.name for path in folder.glob("*.model"))}
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def fingerprint(folder: Path) -> str:
    """Return a digest that tells these files from those of another base model, in milliseconds whatever their size:
    of configurations and tokenizer whole, of weights their sizes, their headers and places all over them."""
    digest = hashlib.sha256()
    always = (*_CONFIGURATIONS, *_TOKENIZERS)
    # The others only where they are: checkpoints of other models were made without them.
    for name in (*always, *(path.name for path in plain_files(folder) if path.name not in always)):
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name} {len(content)}\n".encode() + content)
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            # The header lies at the start, a byte or a few for each tensor's name, shape and place.
            for at in range(0, size, max(_PLACE_BYTES, size // _PLACES)):
                file.seek(at)
                digest.update(file.read(_PLACE_BYTES))
    return digest.hexdigest()


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    found = f"holds only {', '.join(pickles)}, and loading a pickle can run code" if pickles else "holds no weights"
    raise RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"Base model folder {folder.name} {found}. Only safetensors are read: convert the weights and try again.",
    )


def _require_index_inside(folder: Path) -> None:
    """Raise RunError when the index of weights in parts names anything but safetensors files of this folder."""
    path = folder / "model.safetensors.index.json"
    if not path.is_file():
        return
    try:
        named = set(json.loads(path.read_bytes())["weight_map"].values())
        wrong = sorted(str(name) for name in named if Path(name).name != name or not name.endswith(".safetensors"))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{path.name} of base model {folder.name!r} is no index of weights ({error}). Fetch the base model again.",
        ) from error
    if wrong:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{path.name} of base model {folder.name!r} names {wrong[0]!r}, which is no safetensors file of that "
            "folder. Fetch the base model again.",
        )


def _refuse_code(path: Path) -> None:
    """Raise RunError when a configuration file asks for Python code of the model's own, or is no JSON object."""
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{path.name} of base model {path.parent.name!r} is no JSON ({error}). Fetch the base model again.",
        ) from error
    if "auto_map" in content:
        raise own_code(path.parent.name, path.name)


def own_code(model: str, file: str) -> RunError:
    return RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"Base model {model!r} wants to run Python code of its own (auto_map in {file}, trust_remote_code elsewhere). "
        "That is always refused: choose a base model that transformers knows by itself.",
    )


def _refuse_adapter(folder: Path) -> None:
    """Raise RunError when an adapter lies in the folder: transformers would put it on the weights without a word."""
    if (folder / "adapter_config.json").is_file():
        raise holds_adapter(folder.name)


def holds_adapter(model: str) -> RunError:
    return RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"Base model {model!r} holds an adapter (adapter_config.json), which would change the model unseen. Merge it "
        "into the weights first, or take it out.",
    )


def _refuse_whole_numbers(folder: Path) -> None:
    """Raise RunError when weights are whole numbers and no quantization_config says what they stand for.

    transformers would take each for the weight itself, a hundred times too large, without a word.
    """
    config = folder / "config.json"
    if config.is_file() and "quantization_config" in json.loads(config.read_bytes()):
        return
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in _header(path).items():
            kind = tensor.get("dtype") if isinstance(tensor, dict) else None
            if isinstance(kind, str) and kind[0] in "IU" and name.endswith(".weight"):
                raise RunError(
                    EndReason.BASE_MODEL_UNREADABLE,
                    f"{path.name} of base model {folder.name!r} holds {name!r} as whole numbers ({kind}), and its "
                    "config.json has no quantization_config that says what they stand for. Fetch the base model again, "
                    "or take it in bfloat16.",
                )


def _header(path: Path) -> dict[str, object]:
    """Return what a safetensors file says of its tensors; nothing of a damaged file, which loading will name."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        try:
            header = json.loads(file.read(length)) if length <= _LONGEST_HEADER else {}
        except (ValueError, RecursionError):
            return {}
    return header if isinstance(header, dict) else {}
