"""The terminal door: parses, calls, prints. Every command imports its errand when it is called."""

import typer

from supcam.cli import exchanging, experimenting, making, measuring, packing, serving, training, using

_HELP = """The type and the number of chromosomes of every cluster in pictures of metaphase chromosomes.

Types: instance (one chromosome), touching, overlapping, touching_overlapping.

\b
Whole metaphases    supcam analyze slides/ --output results
Crops of clusters   supcam classify crops/ --output predictions.csv
Where it looked     supcam explain crops/ --output explained
Another laboratory  supcam monitor slides/ --output drift
Adapt to it         supcam adapt slides/ --weights runs/first/checkpoints/last.ckpt --output adapted
Score a model       supcam evaluate MODEL labels.csv --role report --output scores
Pool several folds  supcam pool scores/fold1 scores/fold2 --output scores/pooled
To annotators       supcam convert results --to label-studio --pictures slides/ --output to-correct
Harvest crops       supcam harvest slides/annotations --output harvested
Compose clusters    supcam compose --drawn --sheet sheet.png
Draw metaphases     supcam synth --output synthetic --karyotype 47,XY,+21
Train one           supcam train recipe.toml --output runs/first
One step of it      supcam pretrain, supcam finetune
Compare recipes     supcam experiment run experiments/first_table
Join several        supcam join runs/one.ckpt runs/two.ckpt --output runs/both.ckpt
Pack a trained one  supcam export runs/first/checkpoints/last.ckpt --output my-model
Serve a laboratory  supcam serve --port 8000
Schemas of the JSON supcam schema
Repeat a published  supcam reproduce chrcluster --data ChrCluster

Exit codes: 0 all well, 1 some inputs failed, 2 arguments that cannot be used.

Not a medical device: for research only."""

app = typer.Typer(
    name="supcam",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


_reproduce = typer.Typer(
    help="Published figures once more, from the published data set.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def main() -> None:
    """The command ``supcam``."""
    app()


for _command in (
    using.analyze,
    using.classify,
    using.explain,
    making.harvest,
    making.compose,
    making.synth,
    training.train,
    training.pretrain,
    training.finetune,
    packing.join,
    packing.average,
    packing.export,
    packing.quantize,
    measuring.evaluate,
    measuring.pool,
    measuring.recalibrate,
    measuring.fit_context,
    measuring.monitor,
    measuring.reference,
    training.adapt,
    serving.serve,
    serving.purge,
    serving.second_look,
    exchanging.convert,
    using.promise,
    using.schema,
    using.version,
):
    app.command()(_command)
app.add_typer(experimenting.app, name="experiment")
app.add_typer(serving.token, name="token")

_reproduce.command()(training.chrcluster)
app.add_typer(_reproduce, name="reproduce")
