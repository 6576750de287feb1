"""Searches passages by meaning, with a sentence-embedding model from the worker's models folder.

A passage is the mean of the model's last hidden states (Reimers and Gurevych 2019, SBERT), or the first or last of
them where the model's `1_Pooling/config.json` says so; nearness is their cosine.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError, first_line, is_out_of_memory
from playbook.trainer.model import choose_device, resolve
from playbook.trainer.retrieve import Passage

_BATCH = 32
#: Sentence models were trained on short texts; a passage beyond this is cut for its vector, not for the prompt.
_MAX_TOKENS = 512
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}


class EmbeddingIndex:
    """The passages of a run's documents, searched by meaning."""

    def __init__(
        self, passages: Sequence[Passage], *, model: str, models_dir: Path, note: Callable[[int], None]
    ) -> None:
        """Load `model`, a folder in `models_dir`, and embed the passages.

        `note` is told before each batch how many passages are embedded; what it raises ends the work. Raises RunError
        when the model is not there, cannot be read, or pools in a way that is not known here.
        """
        from transformers import AutoModel, AutoTokenizer

        source = resolve(BaseModelRef(id=model), models_dir)
        if not source.is_local:
            raise RunError(
                EndReason.BASE_MODEL_MISSING,
                f"embedding_model {model!r} is not in the models folder of this worker. Place it there, or search "
                "with retriever: bm25, which needs no model.",
            )
        self._device = choose_device()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(source.location)
            self._model: Any = AutoModel.from_pretrained(source.location, use_safetensors=True, trust_remote_code=False)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"embedding_model {model!r} cannot be read ({first_line(error)}). Fetch it again.",
            ) from error
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._pooling = _pooling_of(Path(source.location), model)
        self._query_prompt, passage_prompt = _prompts_of(Path(source.location))
        self._model.to(self._device).eval()
        self._passages = passages
        texts = [passage_prompt + f"{passage.title} {passage.text}".lstrip() for passage in passages]
        self._vectors = self._embed(texts, note)

    def find(self, query: str, top_k: int) -> list[Passage]:
        """Return the `top_k` passages nearest in meaning, the best first."""
        nearness = self._vectors @ self._embed([self._query_prompt + query])[0]
        best = nearness.argsort(descending=True, stable=True)[:top_k].tolist()
        return [self._passages[at] for at in best]

    def _embed(self, texts: Sequence[str], note: Callable[[int], None] | None = None) -> Any:
        """Return unit vectors, float32 (texts, hidden)."""
        import torch

        vectors = []
        limit = min(_MAX_TOKENS, getattr(self._model.config, "max_position_embeddings", _MAX_TOKENS))
        for at in range(0, len(texts), _BATCH):
            if note is not None:
                note(at)
            batch = self._tokenizer(
                list(texts[at : at + _BATCH]), padding=True, truncation=True, max_length=limit, return_tensors="pt"
            ).to(self._device)
            with torch.inference_mode():
                hidden = self._model(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                ).last_hidden_state.float()
            pooled = pool(hidden, batch["attention_mask"], self._pooling)
            # A vector stays where it is searched: on the machine's own memory, however many passages there are.
            vectors.append(torch.nn.functional.normalize(pooled, dim=-1).cpu())
        return torch.cat(vectors)


def pool(hidden: Any, mask: Any, pooling: str) -> Any:
    """Return one vector a text, (texts, hidden), of the hidden states (texts, tokens, hidden); padding on either side.

    `pooling`: "mean", "cls" (the first token that is no padding) or "last".
    """
    import torch

    if pooling == "mean":
        weights = mask.unsqueeze(-1).float()
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    places = torch.arange(mask.shape[1], device=mask.device)
    at = (mask * (mask.shape[1] - places)).argmax(1) if pooling == "cls" else (mask * (places + 1)).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), at]


def _pooling_of(folder: Path, model: str) -> str:
    """Return how the model was trained to pool, by sentence-transformers' file; the mean without one."""
    config = _read(folder / "1_Pooling" / "config.json")
    chosen = [name for name, wanted in config.items() if name.startswith("pooling_mode_") and wanted is True]
    if not chosen:
        return "mean"
    if len(chosen) == 1 and chosen[0] in _POOLINGS:
        return _POOLINGS[chosen[0]]
    raise RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"embedding_model {model!r} pools by {', '.join(chosen)}; known here are {', '.join(_POOLINGS)}. Choose "
        "another model, or search with retriever: bm25.",
    )


def _prompts_of(folder: Path) -> tuple[str, str]:
    """Return what stands before a question and before a passage, by sentence-transformers' file; "" without one."""
    prompts = _read(folder / "config_sentence_transformers.json").get("prompts")
    prompts = prompts if isinstance(prompts, dict) else {}
    passage = next((prompts[name] for name in ("document", "passage") if prompts.get(name)), "")
    return str(prompts.get("query") or ""), str(passage)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{path.name} of the embedding model cannot be read ({error}). Fetch it again.",
        ) from error
    return found if isinstance(found, dict) else {}
