"""Agreement of two class maps: confusion and intersection over union."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.raster.palette import UNKNOWN


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> NDArray[np.int64]:
    """Return (classes, classes) how many pixels of class *row* are predicted as class *column*.

    Both are class indices of one shape. Pixels whose truth is `UNKNOWN` are left out: an ignored class and maps that
    were resized move the scores of other papers. Matrices of several images are added up.
    """
    told = truth.flatten() != UNKNOWN
    pairs = truth.flatten()[told].long() * classes + predicted.flatten()[told].long()
    counts: NDArray[np.int64] = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).cpu().numpy()
    return counts


def iou(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Return each class's intersection over union (…, classes), 0 to 1, of confusions (…, classes, classes).

    NaN for a class that the truth does not hold, predicted or not: it could have no other value than 0, for one that
    predicts a single pixel of it. Its pixels count against the classes that they are.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    there = counts.sum(-1)
    union = there + counts.sum(-2) - hits
    return np.where(there > 0, hits / np.where(union > 0, union, 1), np.nan)


def mean_iou(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Return the mean of the classes' intersection over union (…): 0.6 for [[3, 1], [1, 3]].

    Over the whole set's confusion, not the mean over images. Classes that the truth does not hold are left out, so
    that all that are compared with one truth are means over the same classes.
    """
    return nanmean(iou(confusion))


def nanmean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis of what is there; NaN, without a warning, where nothing is."""
    there = np.isfinite(values)
    count = there.sum(-1)
    mean: NDArray[np.float64] = np.where(there, values, 0).sum(-1) / np.where(count > 0, count, np.nan)
    return mean
