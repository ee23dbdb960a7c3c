"""Files that others wrote, read without running anything and without believing what they claim.

One reader for checkpoints and pickles (:mod:`~rlld.foreign.saved`), weights by name
(:mod:`~rlld.foreign.weights`), safetensors (:mod:`~rlld.foreign.tensors`) and arrays of numpy
(:mod:`~rlld.foreign.arrays`). What a file declares is compared with what it holds before anything
is allocated: a tensor has no more values than its storage, a storage no more bytes than the file,
an array no other shape than the caller asked for. Everything else is one ``RlldError``.
"""
