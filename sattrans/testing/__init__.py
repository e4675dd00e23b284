"""The conformance suite: what every dataset and model plugin promises, asserted for one class at a time.

    from sattrans.testing import check_dataset, check_model

    def test_my_dataset(tmp_path):
        check_dataset(MyDataset, make_small_example(tmp_path))

    def test_my_model():
        check_model(MyModel)

It runs under any test runner: a broken promise is an `AssertionError` that says which.
"""

from sattrans.testing.datasets import check_dataset
from sattrans.testing.models import check_model

__all__ = ["check_dataset", "check_model"]
