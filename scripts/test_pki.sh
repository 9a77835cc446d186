#!/usr/bin/env bash
# Makes the certificates under tests/pki anew: `bash scripts/test_pki.sh`. They are valid until 2120 and worth nothing: the keys are public.
#
# Receivers differ in what they ask of a certificate; these carry what the strictest wants (Tenzir refuses a CA without keyCertSign, and a
# leaf without basicConstraints).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/pki"
readonly DAYS=34000

main() {
  authority ca "tidemark test CA"
  authority other-ca "another test CA"
  leaf server ca "DNS:localhost,IP:127.0.0.1" serverAuth
  leaf wrong-host ca "DNS:elsewhere.test" serverAuth
  leaf client ca "DNS:client.test" clientAuth
  leaf stranger other-ca "DNS:stranger.test" clientAuth
  # Ended in the year 2001.
  leaf expired ca "DNS:localhost,IP:127.0.0.1" serverAuth -not_before 20000101000000Z -not_after 20010101000000Z
  rm -f ./*.csr ./*.ext ./*.srl other-ca.key
}

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }

authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -days "$DAYS" -subj "/CN=$2" -out "$1.pem" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

leaf() {
  local name=$1 authority=$2 names=$3 usage=$4
  shift 4
  key "$name"
  openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "extendedKeyUsage=$usage" \
    "subjectAltName=$names" "authorityKeyIdentifier=keyid" >"$name.ext"
  if (($#)); then
    # Only `openssl ca` takes dates.
    local work
    work=$(mktemp -d)
    : >"$work/index.txt"
    echo 01 >"$work/serial"
    openssl ca -batch -notext -md sha256 -config <(printf "%s\n" "[ca]" "default_ca=x" "[x]" "database=$work/index.txt" \
      "new_certs_dir=$work" "serial=$work/serial" "policy=p" "[p]" "commonName=supplied") -cert "$authority.pem" \
      -keyfile "$authority.key" -in "$name.csr" -out "$name.pem" -extfile "$name.ext" \
      -startdate "$2" -enddate "$4"
    rm -r "$work"
  else
    openssl x509 -req -in "$name.csr" -CA "$authority.pem" -CAkey "$authority.key" -CAcreateserial -days "$DAYS" \
      -extfile "$name.ext" -out "$name.pem" 2>/dev/null
  fi
}

main
