package host

import (
	"bytes"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// Whatever is in a file of etcd, and in whichever order: what is damaged is not passed over as if it
// were text, for then a part of the CAs would be taken for all.
func TestParsePEM(t *testing.T) {
	t.Parallel()
	ca, err := throwaway.New(throwaway.Config{CommonName: "etcd-ca", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.CertPEM()
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("not a key")})
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{5, 0}})
	const damaged = "a PEM block in it is cut short or damaged"
	cases := map[string]struct {
		data  []byte
		certs int
		isKey bool
		fault string
	}{
		"a certificate":              {cert, 1, false, ""},
		"text and parameters":        {slices.Concat([]byte("0 s:CN = etcd-ca\nBag Attributes\n"), parameters, cert, []byte("# end\n")), 1, false, ""},
		"a key first":                {slices.Concat(key, cert), 1, true, "the key is encrypted or of no known kind"},
		"a key behind a damaged one": {slices.Concat(cert[:80], []byte("\n"), key), 0, true, "the key is encrypted or of no known kind"},
		"cut short":                  {cert[:len(cert)-30], 0, false, damaged},
		"a cut one first":            {slices.Concat(cert[:80], []byte("\n"), cert), 1, false, damaged},
		"a cut one behind":           {slices.Concat(cert, cert[:80]), 1, false, damaged},
		"indented":                   {slices.Concat(cert, []byte("  "), cert), 1, false, damaged},
		"no PEM":                     {[]byte("junk"), 0, false, ""},
	}
	for name, tc := range cases {
		got := parsePEM(bytes.Clone(tc.data))
		if len(got.certs) != tc.certs || got.isKey != tc.isKey || got.fault != tc.fault {
			t.Errorf("%s: %d certificates, key %v, fault %q", name, len(got.certs), got.isKey, got.fault)
		}
	}
}

// A CA of X.509 v1 does not say that it is one.
func TestAuthorityOfVersion1(t *testing.T) {
	t.Parallel()
	// openssl req -new -subj /CN=etcd-ca | openssl x509 -req -signkey
	content := parsePEM([]byte(versionOneCA))
	if len(content.certs) != 1 || content.certs[0].Version != 1 || !isAuthority(content.certs[0]) {
		t.Errorf("%+v", content)
	}
}

const versionOneCA = `-----BEGIN CERTIFICATE-----
MIIBIDCBxwIUZGTCWp+wkR9ZmqlAIrkwKrJ2TNowCgYIKoZIzj0EAwIwEjEQMA4G
A1UEAwwHZXRjZC1jYTAgFw0yNjExMjkxNTUxMjdaGA8yMTI2MTEwNTE1NTEyN1ow
EjEQMA4GA1UEAwwHZXRjZC1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ/C
GAJ/W9yxO9tvXYl4RaVRyGiUZC+ZCe2Z8lCy81d4vdvnGzyODWyIXiECcOekrbYz
1dkCMHrYfFC9hAYj0ZgwCgYIKoZIzj0EAwIDSAAwRQIhAPJMjvSwKu00N5JDSYD+
vhPBBsWLOeYDZG3sW90A8HwdAiAXleEqdGOBZPgZtTER2b7aWkloc5z/sfRQWsvd
3wIvng==
-----END CERTIFICATE-----
`
