package pki

import (
	"bytes"
	"encoding/asn1"
	"fmt"
)

// binaryForm tells what a file in another form than PEM is, and how to convert it; empty if it is in none
// that is known. command is the openssl command that reads such a file in DER.
func binaryForm(data []byte, command string) string {
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(data, &outer)
	isDER := data[0] == 0x30
	switch {
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}): // the magic of sun.security.provider.JavaKeyStore
		return "it is a Java keystore, want PEM: keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12, then " + fromPKCS12(command, "FILE.p12")
	case isDER && err == nil && len(rest) == 0 && isPKCS12(outer.Bytes):
		return "it is PKCS #12, want PEM: " + fromPKCS12(command, "FILE")
	case isDER && err == nil && len(rest) == 0 && isPKCS7(outer.Bytes):
		return "it is PKCS #7, want PEM: openssl pkcs7 -inform DER -print_certs -in FILE -out FILE.pem"
	case isDER:
		return fmt.Sprintf("it is DER, want PEM: openssl %s -inform DER -in FILE -out FILE.pem", command)
	}
	return ""
}

// fromPKCS12 returns the command that takes certificates or a key out of a file.
func fromPKCS12(command, file string) string {
	if command == "pkey" {
		return "openssl pkcs12 -nocerts -nodes -in " + file + " -out FILE.pem"
	}
	return "openssl pkcs12 -nokeys -in " + file + " -out FILE.pem"
}

// isPKCS12 reports whether the content of a SEQUENCE is that of a PFX (RFC 7292, 4): version 3 and a ContentInfo.
func isPKCS12(content []byte) bool {
	var version int
	rest, err := asn1.Unmarshal(content, &version)
	if err != nil || version != 3 {
		return false
	}
	var safe asn1.RawValue
	_, err = asn1.Unmarshal(rest, &safe)
	return err == nil && safe.Tag == asn1.TagSequence && isPKCS7(safe.Bytes)
}

// isPKCS7 reports whether the content of a SEQUENCE is that of a ContentInfo (RFC 5652, 3).
func isPKCS7(content []byte) bool {
	var kind asn1.ObjectIdentifier
	_, err := asn1.Unmarshal(content, &kind)
	pkcs7 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7}
	return err == nil && len(kind) == len(pkcs7)+1 && kind[:len(pkcs7)].Equal(pkcs7)
}
