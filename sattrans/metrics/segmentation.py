"""Agreement of two class maps: confusion and intersection over union."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.raster.palette import UNKNOWN


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> NDArray[np.int64]:
    """Return how many pixels of class *row* are predicted as class *column*, (classes, classes).

    `predicted` and `truth` are class indices of the same shape. Pixels whose truth is `UNKNOWN` are left out.
    Matrices of several images can be added up. Scores of papers that ignore a class or resize maps differ.
    """
    known = truth.flatten() != UNKNOWN
    pairs = truth.flatten()[known].long() * classes + predicted.flatten()[known].long()
    counts: NDArray[np.int64] = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).cpu().numpy()
    return counts


def iou(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Return each class's intersection over union (…, classes), 0 to 1, of confusions (…, classes, classes).

    NaN for a class that is absent from the truth, predicted or not: otherwise a single predicted pixel would make it
    0. Pixels that are wrongly predicted as such a class count against their true classes.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    truth = counts.sum(-1)
    union = truth + counts.sum(-2) - hits
    return np.where(truth > 0, hits / np.where(union > 0, union, 1), np.nan)


def mean_iou(confusion: NDArray[np.number]) -> NDArray[np.float64]:
    """Return the mean of the classes' intersection over union (…): 0.6 for [[3, 1], [1, 3]].

    It is computed from the confusion of the whole set, not averaged over images. Classes that are absent from the
    truth are left out, so that all scores against the same truth are means over the same classes.
    """
    return nanmean(iou(confusion))


def nanmean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the finite values over the last axis; NaN, without a warning, if there are none."""
    finite = np.isfinite(values)
    count = finite.sum(-1)
    mean: NDArray[np.float64] = np.where(finite, values, 0).sum(-1) / np.where(count > 0, count, np.nan)
    return mean
