#!/usr/bin/env bash
# Installs the receivers that tests/delivery sends to: `bash scripts/receivers.sh`. Tenzir (HEC, Elastic's bulk; 1 GB) goes into
# target/receivers from PyPI, rsyslog with TLS comes from Debian. What cannot be installed is said, and its tests say that they were skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly PYTHON=target/receivers/python
# Its pipeline language changes between versions.
readonly TENZIR=tenzir==6.20.0

main() {
  install_tenzir || echo "receivers: no Tenzir; its tests are skipped" >&2
  install_rsyslog || echo "receivers: no rsyslog with TLS; its tests are skipped" >&2
}

install_tenzir() {
  [[ -x $PYTHON/bin/tenzir && $(cat $PYTHON/installed 2>/dev/null) == "$TENZIR" ]] && return
  mkdir -p target/receivers
  python3 -m venv "$PYTHON" && "$PYTHON/bin/pip" install --quiet "$TENZIR" && echo "$TENZIR" >"$PYTHON/installed"
}

install_rsyslog() {
  if command -v rsyslogd >/dev/null && ls /usr/lib/*/rsyslog/lmnsd_ossl.so >/dev/null 2>&1; then return; fi
  ((EUID == 0)) || return 1
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rsyslog rsyslog-openssl >/dev/null
}

main
