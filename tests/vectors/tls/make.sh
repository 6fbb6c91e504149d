#!/bin/sh
# Writes the certificates and keys of this folder anew, with openssl 3. They are for tests only.
set -eu
cd "$(dirname "$0")"
DAYS=36500
NAMES=subjectAltName=DNS:model,DNS:localhost,IP:127.0.0.1,IP:::1

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

authority() { # file, common name
    key "$1"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days $DAYS -out "$1.pem" \
        -addext keyUsage=critical,keyCertSign,cRLSign
}

leaf() { # file, common name, authority, extension
    key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$2" |
        openssl x509 -req -CA "$3.pem" -CAkey "$3.key" -days $DAYS -out "$1.pem" -extfile /dev/fd/3 3<<END
$4
authorityKeyIdentifier=keyid
END
}

authority ca "authority of the tests"
authority other-ca "another authority"
leaf server model ca $NAMES
leaf renewed model ca $NAMES
leaf stranger model ca subjectAltName=DNS:stranger
leaf client client ca extendedKeyUsage=clientAuth
leaf other-client client other-ca extendedKeyUsage=clientAuth
key self-signed
openssl req -x509 -new -key self-signed.key -subj /CN=model -days $DAYS -out self-signed.pem -addext $NAMES
key expired
DIR=$(mktemp -d)
: > "$DIR/index"
echo 01 > "$DIR/serial"
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\n%s\n' \
    "$DIR" "$DIR" "$DIR" "$NAMES" > "$DIR/config"
openssl req -new -key expired.key -subj /CN=model |
    openssl ca -config "$DIR/config" -selfsign -keyfile expired.key -in /dev/stdin -out expired.pem -batch -notext \
        -startdate 20200101000000Z -enddate 20200201000000Z
rm -r "$DIR"
openssl pkey -in server.key -aes256 -passout pass:secret -out encrypted.key
chmod 644 ./*.key
rm ca.key other-ca.key
