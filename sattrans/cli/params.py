"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that other options made.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps; auto takes the best there is.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same result.")]
RunFolder = Annotated[
    Path | None, typer.Option("--run", help="A run's folder. [dim]Default: the newest finished one under runs/.[/dim]")
]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", help="The dataset's name (sattrans datasets). [dim]Default: recognised.[/dim]"),
]
CreationOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--co", metavar="NAME=VALUE", help="An option of GDAL's COG driver, such as COMPRESS=DEFLATE; repeatable."
    ),
]
