package goodkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
)

func TestGoodKeys(t *testing.T) {
	t.Parallel()
	keys := []crypto.Signer{}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	modern, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys = append(keys, modern)
	for range 50 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEncoded(key.Public(), der); err != nil {
			t.Errorf("%T: %v", key.Public(), err)
		}
	}
}

func prime(t *testing.T, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func nextPrime(p *big.Int) *big.Int {
	for q := new(big.Int).Add(p, big.NewInt(2)); ; q.Add(q, big.NewInt(2)) {
		if q.ProbablyPrime(0) {
			return q
		}
	}
}

func product(factors ...*big.Int) *big.Int {
	n := big.NewInt(1)
	for _, f := range factors {
		n.Mul(n, f)
	}
	return n
}

// rocaPrime returns a number with the form of a ROCA prime, k*M + 65537^a mod M, for the M of keys of
// 2048 bits: the product of the first 126 primes. It need not be prime for the fingerprint.
func rocaPrime(t *testing.T) *big.Int {
	t.Helper()
	m, found := big.NewInt(1), 0
	for p := int64(2); found < 126; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
			found++
		}
	}
	n := new(big.Int).Exp(big.NewInt(exponent), big.NewInt(123456789), m)
	k := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 1024), m)
	return n.Add(n, k.Mul(k, m).Sub(k, m))
}

func TestBadRSAKeys(t *testing.T) {
	t.Parallel()
	p, q := prime(t, 1024), prime(t, 1024)
	sound := product(p, q)
	huge := new(big.Int).SetBit(big.NewInt(1), 500_000, 1)
	for name, c := range map[string]struct {
		key  *rsa.PublicKey
		want string
	}{
		"1024 bits":     {&rsa.PublicKey{N: prime(t, 1024), E: exponent}, "has 1024 bits, want at least 2048"},
		"8193 bits":     {&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8192, 1), E: exponent}, "has 8193 bits, and TLS takes at most 8192"},
		"500,001 bits":  {&rsa.PublicKey{N: huge, E: exponent}, "has 500001 bits"},
		"exponent 1":    {&rsa.PublicKey{N: sound, E: 1}, "the exponent 1, want 65537"},
		"exponent 3":    {&rsa.PublicKey{N: sound, E: 3}, "the exponent 3"},
		"even exponent": {&rsa.PublicKey{N: sound, E: 65536}, "the exponent 65536"},
		"even modulus":  {&rsa.PublicKey{N: product(big.NewInt(2), sound), E: exponent}, "a small factor"},
		"factor 3":      {&rsa.PublicKey{N: product(big.NewInt(3), sound), E: exponent}, "a small factor"},
		"factor 751":    {&rsa.PublicKey{N: product(big.NewInt(751), sound), E: exponent}, "a small factor"},
		"a prime":       {&rsa.PublicKey{N: prime(t, 2048), E: exponent}, "that is prime"},
		"a square":      {&rsa.PublicKey{N: product(p, p), E: exponent}, "that are close"},
		"close primes":  {&rsa.PublicKey{N: product(p, nextPrime(p)), E: exponent}, "that are close"},
		"ROCA":          {&rsa.PublicKey{N: product(rocaPrime(t), rocaPrime(t)), E: exponent}, "ROCA"},
	} {
		if err := Check(c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := Check(&rsa.PublicKey{N: sound, E: exponent}); err != nil {
		t.Errorf("a sound key: %v", err)
	}
}

// pointOf returns a key of P-256 with any coordinates, which ecdsa's functions do not make.
func pointOf(x, y *big.Int) *ecdsa.PublicKey {
	//lint:ignore SA1019 there is no other way to a key that is not on its curve
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y}
}

func TestBadCurveKeys(t *testing.T) {
	t.Parallel()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	params := elliptic.P256().Params()
	negative := new(big.Int).Sub(params.P, params.Gy)
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		want string
	}{
		"P-224":             {&p224.PublicKey, "on curve P-224"},
		"not on the curve":  {pointOf(big.NewInt(1), big.NewInt(1)), "not a point of its curve"},
		"infinity":          {pointOf(new(big.Int), new(big.Int)), "not a point of its curve"},
		"private key 1":     {pointOf(params.Gx, params.Gy), "everybody can guess"},
		"private key -1":    {pointOf(params.Gx, negative), "everybody can guess"},
		"an unknown type":   {"key", "has type string"},
		"none":              {nil, "which etcd cannot use"},
		"short Ed25519 key": {ed25519.PublicKey("x"), "wrong length"},
	} {
		if err := Check(c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// The points are those that libsodium refuses, ge25519_has_small_order, with each sign of x.
func TestBadEd25519Points(t *testing.T) {
	t.Parallel()
	for point, want := range map[string]string{
		"0000000000000000000000000000000000000000000000000000000000000000": "small order",
		"0100000000000000000000000000000000000000000000000000000000000000": "small order",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": "small order",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": "small order",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "small order",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "not in the one encoding",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "not in the one encoding",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "not in the one encoding",
		"0200000000000000000000000000000000000000000000000000000000000000": "not a point",
	} {
		key, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			key[31] |= sign
			if err := Check(ed25519.PublicKey(key)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", point, err, want)
			}
		}
	}
}

// A BIT STRING whose unused bits push the key to the right is read as the same key.
func TestOtherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.PublicKey{ed25519Key(t), ecdsaKey(t)} {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		other := shiftBits(t, der)
		read, err := x509.ParsePKIXPublicKey(other)
		if err != nil {
			t.Skipf("crypto/x509 refuses it itself: %v", err)
		}
		if !read.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
			t.Fatalf("%T: read as another key", key)
		}
		if err := CheckEncoded(read, other); err == nil || !strings.Contains(err.Error(), "the one encoding") {
			t.Errorf("%T: %v", key, err)
		}
	}
}

func ed25519Key(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecdsaKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// shiftBits returns a SubjectPublicKeyInfo whose BIT STRING has one unused bit.
func shiftBits(t *testing.T, der []byte) []byte {
	t.Helper()
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		t.Fatal(err)
	}
	shifted := new(big.Int).Lsh(new(big.Int).SetBytes(info.Key.Bytes), 1)
	size := len(info.Key.Bytes)
	if info.Key.Bytes[0]&0x80 != 0 {
		size++
	}
	info.Key = asn1.BitString{Bytes: shifted.FillBytes(make([]byte, size)), BitLength: size*8 - 1}
	other, err := asn1.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	return other
}
