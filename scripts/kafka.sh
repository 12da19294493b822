#!/usr/bin/env bash
# Gets the real Kafka's jars from Maven Central into ./.waypost/kafka, once, for `make test-kafka`; prints the folder's path.
# Needs Java 17 and Maven; what Maven's own settings say about mirrors and proxies holds.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly version=4.1.1
readonly folder="$PWD/.waypost/kafka/$version"

fail() { printf 'kafka: %s\n' "$*" >&2; exit 1; }

command -v java >/dev/null || fail "Java is not installed, and Kafka runs on it (Debian: apt-get install openjdk-17-jre-headless)"
if [[ ! -e $folder/complete ]]; then
  command -v mvn >/dev/null || fail "Maven is not installed, and it gets Kafka's jars (Debian: apt-get install maven)"
  mkdir -p "$folder"
  # The server, and the tools beside it: storage, topics, the console consumer.
  cat >"$folder/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>waypost</groupId>
  <artifactId>kafka</artifactId>
  <version>$version</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
END
  printf 'kafka: getting Kafka %s, some 54 MB\n' "$version" >&2
  mvn --quiet --batch-mode --file "$folder/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$folder/libs" >&2 \
    || fail "Maven could not get Kafka $version; what it says stands above"
  touch "$folder/complete"
fi
printf '%s\n' "$folder/libs"
