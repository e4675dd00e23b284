"""What the names of folders and files say: that they hold images or masks, and of which split."""

import re
from dataclasses import dataclass
from typing import Literal

from sattrans.data.dataset import Split

Role = Literal["image", "mask"]

WORDS: dict[Role, str] = {
    "image": "image images img imgs sat satellite rgb photo photos picture pictures chip chips ortho orthos orthophoto "
    "orthophotos aerial input inputs",
    "mask": "mask masks msk label labels lbl gt gts groundtruth annotation annotations annot binarymask binarymasks "
    "segmentation segmentations seg target targets labelmap labelmaps",
}

ROLE_OF: dict[str, Role] = {word: role for role, words in WORDS.items() for word in words.split()}

SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

SIDE = re.compile(r"(?:(train|val|test)[ _-]?)?([ab])", re.IGNORECASE)
"""A or B, trainA or trainB: which of the two holds maps, no name says."""

PASSED_BY = ("all", "tif", "tiff", "png", "jpg", "tiles", "patches", "data", "set")
"""Words in a folder's name that say nothing about what it holds."""


@dataclass(frozen=True, slots=True)
class FolderName:
    """What a folder's name says; `side` is set for trainA and the like."""

    role: Role | None = None
    split: Split | None = None
    side: str = ""


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file's stem says: its role, what remains without the word for it, and a glob of such stems."""

    role: Role
    bare: str
    pattern: str


def read_folder_name(name: str) -> FolderName | None:
    """Return what a folder's name says, such as `train_labels` or `2_Ortho_RGB`; None if a word of it is unknown."""
    if side := SIDE.fullmatch(name):
        return FolderName(None, SPLIT_WORDS.get((side[1] or "").lower()), side[2].upper())
    split: Split | None = None
    rest: list[str] = []
    for word in _words(name):
        for part in _parts(word):
            if part in SPLIT_WORDS:
                if split not in (None, SPLIT_WORDS[part]):
                    return None
                split = SPLIT_WORDS[part]
            elif not part.isdecimal() and part not in PASSED_BY:
                rest.append(part)
    if not rest:
        return FolderName(None, split) if split else None
    roles = {ROLE_OF.get("".join(rest))} - {None} or {ROLE_OF.get(word) for word in rest}
    if None in roles:
        return None
    # Masks of images, or masks in RGB: that they are masks counts.
    return FolderName("mask" if "mask" in roles else "image", split)


def read_file_name(stem: str) -> FileName | None:
    """Return what the last or the first word of a stem says, such as `12_sat` or `mask-12`; None if neither does."""
    match = re.fullmatch(r"(.*?)([_\-. ])([^_\-. ]+)", stem)
    if match and match[1] and (role := ROLE_OF.get(match[3].lower())):
        return FileName(role, match[1], f"*{match[2]}{match[3]}")
    match = re.fullmatch(r"([^_\-. ]+)([_\-. ])(.+)", stem)
    if match and (role := ROLE_OF.get(match[1].lower())):
        return FileName(role, match[3], f"{match[1]}{match[2]}*")
    return None


def _words(name: str) -> list[str]:
    """Return the words of a name: between signs, and where small letters meet a capital, as in trainLabels."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def _parts(word: str) -> list[str]:
    """Return a word, or the split and the role that it is made of, as in `trainannot`."""
    for split in sorted(SPLIT_WORDS, key=len, reverse=True):
        if word.startswith(split) and word[len(split) :] in ROLE_OF:
            return [split, word[len(split) :]]
        if word.endswith(split) and word[: -len(split)] in ROLE_OF:
            return [word[: -len(split)], split]
    return [word]
