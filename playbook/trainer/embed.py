"""Searches passages by meaning, with a sentence-embedding model from the worker's models folder.

A passage is the mean of the model's last hidden states (Reimers and Gurevych 2019, SBERT); nearness is their cosine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.model import choose_device, resolve
from playbook.trainer.retrieve import Passage

_BATCH = 32
#: Sentence models were trained on short texts; a passage beyond this is cut for its vector, not for the prompt.
_MAX_TOKENS = 512


class EmbeddingIndex:
    """The passages of a run's documents, searched by meaning."""

    def __init__(self, passages: Sequence[Passage], *, model: str, models_dir: Path) -> None:
        """Load `model`, a folder in `models_dir`, and embed the passages. Raises RunError when it is not there."""
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
        except (OSError, ValueError) as error:
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"embedding_model {model!r} cannot be read ({str(error).splitlines()[0]}). Fetch it again.",
            ) from error
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model.to(self._device).eval()
        self._passages = passages
        self._vectors = self._embed([f"{passage.title} {passage.text}" for passage in passages])

    def find(self, query: str, top_k: int) -> list[Passage]:
        """Return the `top_k` passages nearest in meaning, the best first."""
        nearness = self._vectors @ self._embed([query])[0]
        best = nearness.argsort(descending=True, stable=True)[:top_k].tolist()
        return [self._passages[at] for at in best]

    def _embed(self, texts: Sequence[str]) -> Any:
        """Return unit vectors, float32 (texts, hidden)."""
        import torch

        vectors = []
        limit = min(_MAX_TOKENS, getattr(self._model.config, "max_position_embeddings", _MAX_TOKENS))
        for at in range(0, len(texts), _BATCH):
            batch = self._tokenizer(
                list(texts[at : at + _BATCH]), padding=True, truncation=True, max_length=limit, return_tensors="pt"
            ).to(self._device)
            with torch.inference_mode():
                hidden = self._model(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                ).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1).float()
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors.append(torch.nn.functional.normalize(mean, dim=-1))
        return torch.cat(vectors)
