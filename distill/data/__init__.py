"""Labelled texts and stored logits as training reads them."""
