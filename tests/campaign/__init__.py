"""A campaign against the product: hostile files, and kills at random moments.

``python -m campaign --minutes 10`` from the folder ``tests`` (``make campaign MINUTES=10``). Every
case is made from the seed, its target and its number alone, so that it can be made again.
"""
