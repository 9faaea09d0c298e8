"""From a text to token ids: normalisation, segmentation, vocabularies."""
