"""Files that others wrote, read without running anything and without believing what they claim.

One reader for checkpoints and pickles (:mod:`~rlld.utils.foreign.saved`), weights by name
(:mod:`~rlld.utils.foreign.weights`), safetensors (:mod:`~rlld.utils.foreign.tensors`) and arrays of
numpy (:mod:`~rlld.utils.foreign.arrays`). What a file declares is compared with what it holds
before anything is allocated: a tensor has no more values than its storage, a storage no more bytes
than the file, an array no other shape than the caller asked for. Everything else is one
``RlldError``.
"""
