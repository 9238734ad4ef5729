#!/bin/bash
# Healthy when the broker answers a Metadata request and is itself in the answer; an open port alone says too little,
# and Kafka's own tools would start a Java machine at every check.
set -eu

exec 3<> /dev/tcp/127.0.0.1/9092
# size 14, API key 3 (Metadata), version 1, correlation 0, no client id, no topics
printf '\0\0\0\016\0\003\0\001\0\0\0\0\377\377\0\0\0\0' >&3
# size, correlation, then how many brokers there are
brokers=$(head -c 12 <&3 | od -An -tu1 | awk 'NR == 1 { print $12 }')
test "$brokers" = 1
