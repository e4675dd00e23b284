"""The version of sattrans, as its package metadata has it."""

from importlib.metadata import version

__version__ = version("sattrans")
