"""Each epoch's figures as files that TensorBoard shows. They are local; TensorBoard itself isn't needed to write them."""

from collections.abc import Mapping
from pathlib import Path

# The part of TensorBoard that draws them. `tf.summary.scalar` says this too, and needs TensorBoard to say it.
_PLUGIN = "scalars"


class Events:
    """Writes below a folder: `train` and `validation` hold the same names, so that TensorBoard draws both into one picture."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the folder can't be made."""
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        folder.mkdir(parents=True, exist_ok=True)
        self._writers = {kind: tf.summary.create_file_writer(str(folder / kind)) for kind in ("train", "validation")}

    def write(self, epoch: int, figures: Mapping[str, float], *, learning_rate: float) -> None:
        """Writes an epoch's figures, counted from 0; the files have them when it returns."""
        import tensorflow as tf  # noqa: PLC0415

        scalar = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=_PLUGIN),
            data_class="DATA_CLASS_SCALAR",
        )
        validation = {name.removeprefix("val_"): value for name, value in figures.items() if name.startswith("val_")}
        train = {name: value for name, value in figures.items() if not name.startswith("val_")} | {"learning_rate": learning_rate}
        for kind, own in (("train", train), ("validation", validation)):
            with self._writers[kind].as_default(step=epoch):
                for name, value in own.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)
            self._writers[kind].flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
