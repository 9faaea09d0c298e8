"""From texts to scores without torch, explanations, drift, and logits of any saved model."""
