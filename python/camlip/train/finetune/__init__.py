"""Fine-tuning: a trained model to new data; ``camlip finetune``, docs/finetuning.md."""
