package execsigner

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The requests are those of the package comment, each one line.
func TestRequestLines(t *testing.T) {
	t.Parallel()
	ecdsaKey, rsaKey, edKey := &ecdsa.PublicKey{Curve: elliptic.P256()}, &rsa.PublicKey{}, ed25519.PublicKey{}
	sum := sha256.Sum256([]byte("foo"))
	sum384 := sha512.Sum384([]byte("foo"))
	const (
		digest    = `"digest":"LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="`
		digest384 = `"digest":"mMEf/f3VQGdrGhN8saIrKnA1DJpEFx1rEYDGvly7LuP3nVMsih3Z7y6OCOdSo7q7"`
	)
	tests := []struct {
		name   string
		public crypto.PublicKey
		digest []byte
		opts   crypto.SignerOpts
		want   string
	}{
		{"ECDSA", ecdsaKey, sum[:], crypto.SHA256, `"hash":"SHA-256",` + digest},
		{"ECDSA with SHA-384", ecdsaKey, sum384[:], crypto.SHA384, `"hash":"SHA-384",` + digest384},
		{"RSA", rsaKey, sum[:], crypto.SHA256, `"hash":"SHA-256",` + digest + `,"padding":"pkcs1v15"`},
		{"RSA-PSS", rsaKey, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}, `"hash":"SHA-256",` + digest + `,"padding":"pss"`},
		{"Ed25519", edKey, []byte("foo"), crypto.Hash(0), `"message":"Zm9v"`},
		{"Ed25519 of nothing", edKey, nil, crypto.Hash(0), `"message":""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := signRequest(test.public, test.digest, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			r.Key = "pkcs11:token=a<b>"
			got, err := r.encode()
			if want := `{"version":1,"op":"sign","key":"pkcs11:token=a<b>",` + test.want + "}\n"; err != nil || string(got) != want {
				t.Errorf("%v\n%swant\n%s", err, got, want)
			}
		})
	}
	got, err := request{Version: version, Op: opPublicKey, Key: "client-root"}.encode()
	if want := `{"version":1,"op":"public-key","key":"client-root"}` + "\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%swant\n%s", err, got, want)
	}
}

func TestResponseSize(t *testing.T) {
	t.Parallel()
	var fields []string
	for i := range maxMembers + 1 {
		fields = append(fields, fmt.Sprintf(`"f%d":1`, i))
	}
	_, err := parseResponse([]byte(`{"version":1,`+strings.Join(fields, ",")+`}`), fieldSignature)
	if err == nil || !strings.Contains(err.Error(), "more than 32 fields") {
		t.Errorf("%v", err)
	}
}

func FuzzResponse(f *testing.F) {
	seeds := []string{
		`{"version":1,"signature":"MEUCIQDx"}`,
		"\n{ \"version\" : 1, \"signature\" : \"AA==\" }\n",
		`{"version":1,"error":"no key"}`,
		`{"version":2,"signature":"AAAA"}`,
		`{"version":1,"signature":"AAAA"}{}`,
		`{"version":1,"signature":"AAAA","signature":"AAAA"}`,
		`{"version":1,"signature":[{"a":[]}]}`,
		`{"version":1e0,"signature":"\u0041AAA"}`,
		``,
	}
	accepted := 0
	for _, seed := range seeds {
		if _, err := parseResponse([]byte(seed), fieldSignature); err == nil {
			accepted++
		}
		f.Add([]byte(seed))
	}
	if accepted != 2 {
		f.Fatalf("%d seeds are good, want 2", accepted)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		signature, err := parseResponse(data, fieldSignature)
		if err != nil {
			_, refused := errors.AsType[*refusalError](err)
			if signature != nil || !refused && len(err.Error()) > 500 {
				t.Fatalf("%d bytes beside an error of %d", len(signature), len(err.Error()))
			}
			return
		}
		again, err := parseResponse(fmt.Appendf(nil, `{"version":1,"signature":%q}`, base64.StdEncoding.EncodeToString(signature)), fieldSignature)
		if err != nil || !bytes.Equal(again, signature) || len(signature) == 0 {
			t.Fatalf("%x became %x: %v", signature, again, err)
		}
		if _, err := parseResponse(append(bytes.Clone(data), '{', '}'), fieldSignature); err == nil {
			t.Fatal("accepted with a second object behind it")
		}
		if _, err := parseResponse(data, fieldPublicKey); err == nil {
			t.Fatal("a signature was taken for a public key")
		}
	})
}
