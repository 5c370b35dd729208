"""Images with their labels and groups: loaded, checked, inspected and split."""
