package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// marshal returns the DER of a value.
func marshal(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// element returns an element of DER with the given content.
func element(t testing.TB, class, tag int, content ...[]byte) []byte {
	t.Helper()
	var all []byte
	for _, part := range content {
		all = append(all, part...)
	}
	return marshal(t, asn1.RawValue{Class: class, Tag: tag, IsCompound: true, Bytes: all})
}

func sequence(t testing.TB, content ...[]byte) []byte {
	t.Helper()
	return element(t, asn1.ClassUniversal, asn1.TagSequence, content...)
}

// attribute returns an attribute with values in DER.
func attribute(t testing.TB, id asn1.ObjectIdentifier, values ...[]byte) []byte {
	t.Helper()
	return sequence(t, marshal(t, id), element(t, asn1.ClassUniversal, asn1.TagSet, values...))
}

// extensionOf returns an extension in DER, with more parts behind it.
func extensionOf(t testing.TB, id asn1.ObjectIdentifier, value []byte, more ...[]byte) []byte {
	t.Helper()
	parts := append([][]byte{marshal(t, id), marshal(t, value)}, more...)
	return sequence(t, parts...)
}

// requestWith returns a request that an ECDSA key signs, with the given SubjectPublicKeyInfo and
// attributes, and more parts behind the attributes.
func requestWith(t testing.TB, key *ecdsa.PrivateKey, spki []byte, attributes [][]byte, more ...[]byte) []byte {
	t.Helper()
	parts := append([][]byte{marshal(t, 0), sequence(t), spki, element(t, asn1.ClassContextSpecific, 0, attributes...)}, more...)
	tbs := sequence(t, parts...)
	digest := sha256.Sum256(tbs)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der := sequence(t, tbs, marshal(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}), marshal(t, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func publicDER(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Whatever a request has besides its key is either what the plan gives the leaf, or refused by name.
func TestRequestsForAnythingElse(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki := publicDER(t, key.Public())
	extensionRequest, microsoft := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
	san, usage, eku := asn1.ObjectIdentifier{2, 5, 29, 17}, asn1.ObjectIdentifier{2, 5, 29, 15}, asn1.ObjectIdentifier{2, 5, 29, 37}
	name := func(tag int, content []byte) []byte { return element(t, asn1.ClassContextSpecific, tag, content) }
	primitive := func(tag int, content []byte) []byte {
		return marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: content})
	}
	sanList := func(names ...[]byte) []byte { return sequence(t, extensionOf(t, san, sequence(t, names...))) }
	own := sanList(primitive(7, []byte{10, 0, 0, 11}))
	usages := func(ids ...asn1.ObjectIdentifier) []byte { return sequence(t, extensionOf(t, eku, marshal(t, ids))) }
	serverAuth, clientAuth, codeSigning := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	bits := func(b byte) []byte {
		return sequence(t, extensionOf(t, usage, marshal(t, asn1.BitString{Bytes: []byte{b}, BitLength: 8})))
	}
	peer := NewPlan(specOf(t, 1, "")).Bundles[0].Leaves[1]
	cases := map[string]struct {
		attributes [][]byte
		more       [][]byte
		want       string // empty if it is accepted
	}{
		"nothing":                   {},
		"its own name":              {attributes: [][]byte{attribute(t, extensionRequest, own)}},
		"its usages":                {attributes: [][]byte{attribute(t, extensionRequest, usages(serverAuth, clientAuth))}},
		"digitalSignature":          {attributes: [][]byte{attribute(t, extensionRequest, bits(0xa0))}},
		"otherName":                 {[][]byte{attribute(t, extensionRequest, sanList(name(0, sequence(t))))}, nil, "a name of kind otherName"},
		"x400Address":               {[][]byte{attribute(t, extensionRequest, sanList(name(3, sequence(t))))}, nil, "a name of kind x400Address"},
		"directoryName":             {[][]byte{attribute(t, extensionRequest, sanList(name(4, sequence(t))))}, nil, "a name of kind directoryName"},
		"ediPartyName":              {[][]byte{attribute(t, extensionRequest, sanList(name(5, sequence(t))))}, nil, "a name of kind ediPartyName"},
		"registeredID":              {[][]byte{attribute(t, extensionRequest, sanList(primitive(8, []byte{42, 3})))}, nil, "a name of kind registeredID"},
		"a kind of no standard":     {[][]byte{attribute(t, extensionRequest, sanList(primitive(9, []byte{1})))}, nil, "a name of kind 9"},
		"the key usage of a CA":     {[][]byte{attribute(t, extensionRequest, bits(0x06))}, nil, "the key usage of a CA"},
		"another EKU":               {[][]byte{attribute(t, extensionRequest, usages(codeSigning))}, nil, "the extended key usage 1.3.6.1.5.5.7.3.3"},
		"a second list":             {[][]byte{attribute(t, extensionRequest, own), attribute(t, extensionRequest, sequence(t))}, nil, "twice"},
		"two lists in one":          {[][]byte{attribute(t, extensionRequest, own, own)}, nil, "2 lists of extensions"},
		"Microsoft's list":          {[][]byte{attribute(t, microsoft, own)}, nil, "extensions in Microsoft's attribute"},
		"a challenge password":      {[][]byte{attribute(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}, marshal(t, "secret"))}, nil, "a challenge password"},
		"an unknown attribute":      {[][]byte{attribute(t, asn1.ObjectIdentifier{1, 2, 3}, marshal(t, "x"))}, nil, "the attribute 1.2.3"},
		"an attribute of no form":   {[][]byte{sequence(t, marshal(t, "x"))}, nil, "cannot be read"},
		"a part behind the value":   {[][]byte{attribute(t, extensionRequest, sequence(t, extensionOf(t, usage, marshal(t, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}), marshal(t, "x"), marshal(t, "y"))))}, nil, "has parts beside"},
		"a part behind the request": {nil, [][]byte{sequence(t)}, "has parts beside"},
	}
	for label, tc := range cases {
		csr, err := ParseRequest(requestWith(t, key, spki, tc.attributes, tc.more...))
		if err == nil {
			err = CheckRequest(peer, csr)
		}
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", label, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", label, err, tc.want)
		case err != nil && strings.Contains(err.Error(), "secret"+"\""):
			t.Errorf("%s: quotes a secret: %v", label, err)
		}
	}
	backup := NewPlan(specOf(t, 1, "")).Bundles[1].Leaves[0]
	csr, err := ParseRequest(requestWith(t, key, spki, [][]byte{attribute(t, extensionRequest, usages(serverAuth))}))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckRequest(backup, csr); err == nil || !strings.Contains(err.Error(), "the extended key usage 1.3.6.1.5.5.7.3.1") {
		t.Errorf("a client that asks for serverAuth: %v", err)
	}
}

// A request's key is checked before its signature, which takes long with a huge key.
func TestRequestsWithBadKeys(t *testing.T) {
	t.Parallel()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	info := struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}{}
	if _, err := asn1.Unmarshal(publicDER(t, signer.Public()), &info); err != nil {
		t.Fatal(err)
	}
	// 0x04 in front of the point leaves room for three unused bits.
	shifted := new(big.Int).Lsh(new(big.Int).SetBytes(info.Key.Bytes), 3)
	info.Key = asn1.BitString{Bytes: shifted.FillBytes(make([]byte, len(info.Key.Bytes))), BitLength: 8*len(info.Key.Bytes) - 3}
	huge := new(big.Int).SetBit(big.NewInt(1), 500_000, 1)
	for label, tc := range map[string]struct {
		spki []byte
		want string
	}{
		"unused bits":  {marshal(t, info), "the one encoding"},
		"500,000 bits": {publicDER(t, &rsa.PublicKey{N: huge, E: 65537}), "has 500001 bits, and TLS takes at most 8192"},
		"small order":  {publicDER(t, ed25519.PublicKey(make([]byte, 32))), "a point of small order"},
		"exponent 3":   {publicDER(t, &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2048, 1), E: 3}), "the exponent 3"},
	} {
		if _, err := ParseRequest(requestWith(t, signer, tc.spki, nil)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", label, err, tc.want)
		}
	}
}

// Certificates with keys that take long to work with are refused when they are read, and other
// encodings of a key when they are adopted.
func TestCertificatesWithBadKeys(t *testing.T) {
	t.Parallel()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: testNow(), NotAfter: testNow().Add(time.Hour)}
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 500_000, 1), E: 65537}
	der, err := x509.CreateCertificate(rand.Reader, template, template, huge, signer)
	if err != nil {
		t.Fatal(err)
	}
	hugePEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, parse := range map[string]func([]byte) ([]*x509.Certificate, error){"certificates": ParseCertificates, "trust": ParseTrust} {
		if _, err := parse(hugePEM); err == nil || !strings.Contains(err.Error(), "more than 16384 bits") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, 100_000)})); err == nil || !strings.Contains(err.Error(), "100000 bytes") {
		t.Errorf("a huge private key: %v", err)
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := adopting{known: map[adoptedCertificate]bool{}}
	if err := a.enter("etcd-0/peer", RolePeer, cert, true); err != nil {
		t.Fatal(err)
	}
	cert.RawSubjectPublicKeyInfo = append([]byte{}, cert.RawSubjectPublicKeyInfo[1:]...) // as in another encoding
	if err := a.enter("etcd-0/server", RoleServer, cert, true); err == nil || !strings.Contains(err.Error(), "the one encoding") {
		t.Errorf("adopted: %v", err)
	}
}
