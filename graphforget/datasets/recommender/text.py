"""Item features out of words: TF-IDF weights reduced by a truncated singular value decomposition (scikit-learn), seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.interactions import ItemAttribute


def text_features(texts: Sequence[str], *, dim: int = 128, seed: int = 0) -> Tensor:
    """Latent semantic features of texts (Deerwester et al., 1990): TF-IDF of words, then the ``dim`` strongest directions.

    Args:
        texts: One per item; an empty one gives a row of NaN: the item has no text.
        dim: Number of features; fewer where there are fewer words or texts.
        seed: Seed of the randomised decomposition.

    Returns:
        [num_items, dim] float32.

    Raises:
        InputError: No text holds a word.

    Example:
        >>> x = text_features(["a dark wood", "the dark forest", "", "cooking rice"], dim=2)
        >>> x.shape, bool(x[2].isnan().all())
        (torch.Size([4, 2]), True)
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        weights = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode").fit_transform(list(texts))
    except ValueError as error:
        raise InputError(f"the texts hold no words to make features of ({error}).") from None
    return _reduced(weights, dim, seed)


def attribute_features(attribute: ItemAttribute, num_items: int, *, dim: int = 128, seed: int = 0) -> Tensor:
    """The same for a multi-valued attribute such as tags: rare values weigh more. Items without a value get a row of NaN.

    Args:
        attribute: Which item has which values.
        num_items: Number of items.
        dim: Number of features.
        seed: Seed of the randomised decomposition.
    """
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer

    item, value = attribute.pairs[:, 0].numpy(), attribute.pairs[:, 1].numpy()
    counts = csr_matrix((np.ones(len(item)), (item, value)), shape=(num_items, len(attribute.values)))
    return _reduced(TfidfTransformer().fit_transform(counts), dim, seed)


def _reduced(weights: Any, dim: int, seed: int) -> Tensor:
    from sklearn.decomposition import TruncatedSVD

    if dim < 1:
        raise InputError(f"dim must be at least 1, got {dim}.")
    size = min(dim, weights.shape[0] - 1, weights.shape[1] - 1)
    if size < 1:
        raise InputError(f"{weights.shape[0]} items with {weights.shape[1]} different words are too few for features.")
    rows = torch.from_numpy(TruncatedSVD(size, random_state=seed).fit_transform(weights)).float()
    empty = torch.from_numpy(weights.getnnz(axis=1) == 0)
    return rows.masked_fill(empty.view(-1, 1), float("nan"))
