"""Catalog entries and their parts: small frozen dataclasses, so that an entry names only what its report names.

:mod:`~mg_models.specs.data`
    What a training reads of its panels and returns, and how its days are divided
:mod:`~mg_models.specs.networks`, :mod:`~mg_models.specs.losses`
    One dataclass for each network and each loss, whose ``kind`` identifies it in a stored card
:mod:`~mg_models.specs.model`
    The whole entry of a trained model
:mod:`~mg_models.specs.combination`
    The entry of a signal without weights to train
"""
