"""Training and scoring of any ``nn.Module`` that gives segmentation logits: recipe in, weights and mIoU out."""
