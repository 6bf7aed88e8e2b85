"""Locations and sources of the public sets. Their licences do not allow copies in a repository."""

import os
from dataclasses import dataclass
from pathlib import Path

from model.errors import InputError

VARIABLE = "THROUGHLINE_REAL_DATA"
DEFAULT_FOLDER = Path("..", "shared", "data")


@dataclass(frozen=True)
class PublicSet:
    """One published log."""

    folder: str
    title: str
    source: str
    licence: str


TAOBAO = PublicSet(
    folder="taobao",
    title="Taobao UserBehavior",
    source="https://tianchi.aliyun.com/dataset/649, any part of it",
    licence="CC BY-NC-SA 4.0: no commercial use",
)
MOVIELENS = PublicSet(
    folder="movielens-1m",
    title="MovieLens-1M in the order of SASRec",
    source="ml-1m.txt of https://github.com/kang205/SASRec (then gzip it), movies.dat of "
    "https://grouplens.org/datasets/movielens/1m/, sas_to_original_items.txt of "
    "https://github.com/asash/ml1m-sas-mapping",
    licence="GroupLens: research only, no redistribution",
)
BEAUTY = PublicSet(
    folder="amazon-beauty",
    title="Amazon Beauty as S3-Rec has it",
    source="the folder data of https://github.com/RUCAIBox/CIKM2020-S3Rec",
    licence="research only",
)


def data_folder() -> Path:
    """Return the folder of all public sets."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_FOLDER)


def public_file(of: PublicSet, name: str, folder: Path) -> Path:
    """Return the file of a set; `folder` is that of all sets.

    Raises InputError with the source and the licence if the file does not exist.
    """
    file = folder / of.folder / name
    if not file.is_file():
        raise InputError(
            f"{of.title}: no file {file.absolute()}: get {name} from {of.source} (licence: {of.licence}), and set "
            f"{VARIABLE} to the folder that holds {of.folder}/"
        )
    return file
