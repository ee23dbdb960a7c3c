"""Credit per label: the policy also acts on annotated videos, where each action is paid by itself.

``evidence`` trains networks on the bare tags, ``judge`` holds the policies that read what they say
and teaches them, ``drawn`` does so where questions were drawn by lot, ``priors`` stand in where no
video is annotated, ``denoiser`` cleans the labels.
"""
