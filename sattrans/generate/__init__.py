"""Generate a georeferenced image from a map. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.generate.api import GenerateResult, generate
    from sattrans.generate.batch import BatchResult, generate_batch
    from sattrans.generate.options import GenerateOptions
    from sattrans.generate.variants import generate_variants

__all__ = ["BatchResult", "GenerateOptions", "GenerateResult", "generate", "generate_batch", "generate_variants"]
__getattr__ = lazy_names(
    __name__,
    {
        "api": ("GenerateResult", "generate"),
        "batch": ("BatchResult", "generate_batch"),
        "options": ("GenerateOptions",),
        "variants": ("generate_variants",),
    },
)
