"""The curves of a run: its losses over the epochs, as one picture."""

import io

from sattrans.files import write_bytes
from sattrans.run import Run

PICTURE = "losses.png"


def draw_curves(run: Run) -> None:
    """Write `losses.png`: training losses above, validation losses below, the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = run.metrics()
    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(8, 7), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, part, title in ((above, "train", "training, means of epochs"), (below, "val", "validation")):
        for name in lines[0][part]:
            axes.plot(epochs, [line[part].get(name) for line in lines], marker=".", label=name)
        if all(line[part].get(name, 1.0) > 0 for line in lines for name in line[part]):
            axes.set_yscale("log")  # so that a small loss is seen beside a large one
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    monitor = run.manifest["settings"]["monitor"]
    best = min(lines, key=lambda line: float(line["val"][monitor]))
    below.axvline(best["epoch"], color="0.6", linestyle=":")
    below.annotate(
        f"best {monitor} {best['val'][monitor]:.4g}",
        (best["epoch"], 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
    )
    below.set_xlabel("epoch")
    figure.suptitle(f"{run.name}: {run.model_name} on {run.manifest['data']['name']}", x=0.01, ha="left")
    picture = io.BytesIO()
    canvas.print_png(picture)  # type: ignore[no-untyped-call]
    write_bytes(run.folder / PICTURE, picture.getvalue())
