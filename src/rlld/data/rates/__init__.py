"""Rates of wrong tags per class and modality that transfer between data sets.

``rates.csv`` holds counts out of published annotation, made by ``count`` from the files that
``annotated`` reads; ``table`` reads them, ``likes`` says which of its classes a class is like, and
``borrow`` gives a data set without annotation the rates of its classes.
"""
