#!/bin/sh
# Tells Spark which GPUs a worker or an executor has, as {"name": "gpu", "addresses": ["0", "1"]}.
nvidia-smi --query-gpu=index --format=csv,noheader |
  awk 'NR > 1 { list = list ", " } { list = list "\"" $1 "\"" } END { print "{\"name\": \"gpu\", \"addresses\": [" list "]}" }'
