"""The conformance suite for plugins: it checks one dataset or model class against the contract of its base class.

    from sattrans.testing import check_dataset, check_model

    def test_my_dataset(tmp_path):
        check_dataset(MyDataset, make_small_example(tmp_path))

    def test_my_model():
        check_model(MyModel)

It runs under any test runner: a violation raises an `AssertionError` that says what is wrong.
"""

from sattrans.testing.datasets import check_dataset
from sattrans.testing.models import check_model

__all__ = ["check_dataset", "check_model"]
