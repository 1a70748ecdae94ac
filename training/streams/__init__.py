"""Sets larger than memory, read while a network learns from them.

A `source` says where its items are and reads them shard by shard: `csv_files`, `parquet_files`, `tfrecord_files`, `image_folder`, `dicom_files`,
`dicom_series` and `medmnist`. `dataset.dataset` makes a tf.data.Dataset of any of them: shuffled by (seed, epoch), shared among workers, resumed
where it was left, copied to a local folder (`cache`); `streamed` is the same for a fit. `survey` reads a set once and says how many items it has.
`parts` cuts a set by patient without remembering anybody, and `streamed_dataset` makes of parts what a job is given: `ledger` finds items that equal
others, and `thinned` reads a set without them.
What can't be read is left out, and a `quality.fault` says which file, record and column, and why; never what stands there.
"""
