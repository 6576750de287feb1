"""The site: the only package that imports Django. Never imports torch, transformers or peft."""
