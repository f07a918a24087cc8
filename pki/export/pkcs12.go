package export

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// iterations is the number of iterations of each of the three key derivations of a file; the
// default of the encoder is 2,048. Java stops at 5,000,000 (sun.security.pkcs12.PKCS12KeyStore), and .NET's
// loader at 300,000 for each and 1,000,000 together (dotnet/runtime, Pkcs12LoaderLimits).
const iterations = 100_000

// PKCS12 encodes a leaf with its key, its chain and the roots that its holder trusts, as one
// file with a password. The encryption is AES-256-CBC with PBKDF2-HMAC-SHA-256, and the MAC
// is HMAC-SHA-256: OpenSSL 1.1.1 and Java 12 can read it. PBMAC1 (RFC 9579) would need OpenSSL
// 3.4 and Java 26.
func PKCS12(l Leaf, password string) ([]byte, error) {
	if err := CheckPassword(password); err != nil {
		return nil, err
	}
	return encodePKCS12(l, password, iterations)
}

// CheckPassword refuses an empty password, and a password that some readers of PKCS #12 do
// not accept: Java derives keys only from printable ASCII ("Password is not ASCII",
// com.sun.crypto.provider.PBEKey). Its errors are ErrPassword and never quote the password.
func CheckPassword(password string) error {
	if password == "" {
		return passwordError("the password is empty")
	}
	for _, b := range []byte(password) {
		if b < 0x20 || b > 0x7e {
			return passwordError("the password has a character outside printable ASCII, and Java cannot read PKCS #12 with it")
		}
	}
	return nil
}

// passwordError is the reason why a password is not usable.
type passwordError string

func (e passwordError) Error() string { return string(e) }

func (passwordError) Is(target error) bool { return target == ErrPassword }

func encodePKCS12(l Leaf, password string, iterations int) ([]byte, error) {
	authorities := slices.Clone(l.Chain[1:])
	for _, root := range l.Trust {
		if !slices.ContainsFunc(authorities, root.Equal) {
			authorities = append(authorities, root)
		}
	}
	salts, err := salts(l, authorities)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", l.Name, err)
	}
	// Modern2023 and not Modern, which may come to mean something that fewer can read.
	encoder := pkcs12.Modern2023.WithIterations(iterations).WithRand(bytes.NewReader(salts))
	data, err := encoder.Encode(l.Key, l.Cert(), authorities, password)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", l.Name, err)
	}
	return data, nil
}

// salts returns the random bytes of the file: salts and initialisation vectors. They are
// derived from the private key and the certificates, so that equal input gives equal bytes, and
// nobody without the key can predict them. They do not depend on the password: otherwise a
// person with the key could test passwords with the salts, which is faster than with the file.
func salts(l Leaf, authorities []*x509.Certificate) ([]byte, error) {
	const enough = 1024 // five times 16 bytes are used
	keyDER, err := x509.MarshalPKCS8PrivateKey(l.Key)
	if err != nil {
		return nil, err
	}
	certs := sha256.New()
	certs.Write(l.Cert().Raw)
	for _, c := range authorities {
		certs.Write(c.Raw) // DER says its own length, so no two lists are one text
	}
	return hkdf.Key(sha256.New, keyDER, nil, "etcdsec PKCS #12 salts\x00"+string(certs.Sum(nil)), enough)
}
