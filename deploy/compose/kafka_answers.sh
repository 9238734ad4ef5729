#!/bin/bash
# Health check: the broker answers a Metadata request, and the answer contains it. An open port proves too little, and
# Kafka's own tools would start a JVM at every check.
set -eu

exec 3<> /dev/tcp/127.0.0.1/9092
# size 14, API key 3 (Metadata), version 1, correlation id 0, no client id, no topics
printf '\0\0\0\016\0\003\0\001\0\0\0\0\377\377\0\0\0\0' >&3
# size, correlation, then the number of brokers
brokers=$(head -c 12 <&3 | od -An -tu1 | awk 'NR == 1 { print $12 }')
test "$brokers" = 1
