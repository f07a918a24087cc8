package census_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
)

// encryptedObject returns what KMS v2 stores, in the order in which kube-apiserver writes it.
func encryptedObject(keyID string, data []byte) []byte {
	var b []byte
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), data)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), keyID)
	b = protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "wrapped")
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a.example.com")
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), entry)
	return protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), 1)
}

func TestClassify(t *testing.T) {
	text := func(n int) string { return strings.Repeat("\xa5", n) }
	kmsv2 := string(encryptedObject("kek-7", []byte("data")))
	for _, c := range []struct {
		name, value string
		form        census.Form
		provider    audit.Provider
		key, keyID  string
		encoding    census.Encoding
	}{
		{name: "secretbox", value: "k8s:enc:secretbox:v1:k-1:" + text(41), form: census.Encrypted, provider: audit.SecretboxProvider, key: "k-1"},
		{name: "aesgcm", value: "k8s:enc:aesgcm:v1:k:" + text(28), form: census.Encrypted, provider: audit.AESGCMProvider, key: "k"},
		{name: "aescbc", value: "k8s:enc:aescbc:v1:key 1:" + text(48), form: census.Encrypted, provider: audit.AESCBCProvider, key: "key 1"},
		{name: "kms v1", value: "k8s:enc:kms:v1:vault:\x00\x03abc" + text(9), form: census.Encrypted, provider: audit.KMSv1Provider, key: "vault"},
		{name: "kms v2", value: "k8s:enc:kms:v2:cloud:" + kmsv2, form: census.Encrypted, provider: audit.KMSv2Provider, key: "cloud", keyID: "kek-7"},
		{name: "a colon in the ciphertext", value: "k8s:enc:secretbox:v1:k:" + text(20) + ":" + text(30), form: census.Encrypted, provider: audit.SecretboxProvider, key: "k"},

		{name: "protobuf", value: "k8s\x00\x0a", form: census.Plaintext, encoding: census.Protobuf},
		{name: "JSON", value: `{"kind":"Foo"}`, form: census.Plaintext, encoding: census.JSON},
		{name: "CBOR", value: "\xd9\xd9\xf7\xa1", form: census.Plaintext, encoding: census.CBOR},
		{name: "empty", form: census.Plaintext, encoding: census.Other},
		{name: "a number", value: "42", form: census.Plaintext, encoding: census.Other},
		{name: "almost the prefix", value: "k8s:end:", form: census.Plaintext, encoding: census.Other},

		{name: "the prefix alone", value: "k8s:enc:"},
		{name: "unknown provider", value: "k8s:enc:rot13:v1:k:" + text(50)},
		{name: "unknown version", value: "k8s:enc:secretbox:v2:k:" + text(50)},
		{name: "no name", value: "k8s:enc:aesgcm:v1::" + text(50), provider: audit.AESGCMProvider},
		{name: "the name does not end", value: "k8s:enc:aesgcm:v1:" + strings.Repeat("k", 600) + ":" + text(50), provider: audit.AESGCMProvider},
		{name: "a name that is no text", value: "k8s:enc:aesgcm:v1:a\nb:" + text(50), provider: audit.AESGCMProvider},
		{name: "cut before the end of the tag", value: "k8s:enc:secretbox:v1:k:" + text(39), provider: audit.SecretboxProvider, key: "k"},
		{name: "half a block", value: "k8s:enc:aescbc:v1:k:" + text(40), provider: audit.AESCBCProvider, key: "k"},
		{name: "kms v1 without data", value: "k8s:enc:kms:v1:p:\x00\x03abc", provider: audit.KMSv1Provider, key: "p"},
		{name: "kms v1 with a length that is too long", value: "k8s:enc:kms:v1:p:\xff\xff" + text(50), provider: audit.KMSv1Provider, key: "p"},
		{name: "kms v2 that is cut", value: "k8s:enc:kms:v2:p:" + kmsv2[:len(kmsv2)-1], provider: audit.KMSv2Provider, key: "p"},
		{name: "kms v2 without a key ID", value: "k8s:enc:kms:v2:p:\x0a\x01x", provider: audit.KMSv2Provider, key: "p"},
		{name: "kms v2 with a key ID that is too long", value: "k8s:enc:kms:v2:p:" + string(encryptedObject(strings.Repeat("i", 1025), []byte("x"))), provider: audit.KMSv2Provider, key: "p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := census.Classifier{}.Classify([]byte(c.value))
			if s.Form != c.form || s.Provider != c.provider || string(s.Key) != c.key || string(s.KeyID) != c.keyID || s.Encoding != c.encoding {
				t.Errorf("got form %d, provider %q, key %q, key ID %q, encoding %q", s.Form, s.Provider, s.Key, s.KeyID, s.Encoding)
			}
			if encrypted := s.Form == census.Encrypted; encrypted != (len(s.Sealed) > 0) || !bytes.HasSuffix([]byte(c.value), s.Sealed) {
				t.Errorf("the ciphertext is %q", s.Sealed)
			}
		})
	}
}

func TestClassifyAllocatesNothing(t *testing.T) {
	values := [][]byte{
		[]byte("k8s:enc:secretbox:v1:k-1:" + strings.Repeat("x", 100)),
		append([]byte("k8s:enc:kms:v2:cloud:"), encryptedObject("kek-7", []byte("data"))...),
		[]byte("k8s\x00"),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, v := range values {
			census.Classifier{}.Classify(v)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		"k8s:enc:secretbox:v1:k-1:" + strings.Repeat("x", 100), "k8s:enc:kms:v1:p:\x00\x01ab", "k8s\x00", "{}", "k8s:enc:aescbc:v1:a:b:" + strings.Repeat("x", 48),
		"k8s:enc:kms:v2:cloud:" + string(encryptedObject("kek-7", []byte("data"))), "k8s:enc:kms:v2:p:\x0a\xff\xff\xff\xff\x0f", "k8s:enc:kms:v2:p:\x13\x13\x14\x14",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		s := census.Classifier{}.Classify(value)
		if s.Form == census.Encrypted {
			// What is accepted names its writer, and is the value again when it is put together.
			if whole := s.Provider.Prefix() + string(s.Key) + ":" + string(s.Sealed); whole != string(value) {
				t.Errorf("%q became %q", value, whole)
			}
			if (s.Provider == audit.KMSv2Provider) != (len(s.KeyID) > 0) || !bytes.Contains(s.Sealed, s.KeyID) {
				t.Errorf("key ID %q", s.KeyID)
			}
		}
		if s.Form == census.Plaintext && bytes.HasPrefix(value, []byte("k8s:enc:")) {
			t.Errorf("%q is plaintext", value)
		}
	})
}

// What a key of a configuration has encrypted is found to be its own, whatever is in its name
// and whatever other keys there are.
func FuzzKnownWriter(f *testing.F) {
	for _, name := range []string{"k-1", "a:b", "a", ":", "::::::::::::", "aescbckey-2024-05-01T12:00:00Z", "a\nb", "\xff", strings.Repeat("a:", 400)} {
		for i := range audit.EncryptingProviders() {
			f.Add(i, name, "a", []byte("b:\xa5"))
		}
	}
	f.Fuzz(func(t *testing.T, at int, name, other string, sealed []byte) {
		providers := audit.EncryptingProviders()
		w := audit.Writer{Provider: providers[uint(at)%uint(len(providers))], Key: name}
		if name == "" || len(name) > 1000 || len(other) > len(name) {
			return
		}
		switch w.Provider {
		case audit.KMSv1Provider:
			sealed = append([]byte("\x00\x01k"), append(sealed, 'x')...)
		case audit.KMSv2Provider:
			sealed = encryptedObject("kek", append(sealed, 'x'))
		default:
			sealed = append(sealed, bytes.Repeat([]byte{0xa5}, 64)...)
			sealed = sealed[:len(sealed)/16*16]
		}
		classifier := census.NewClassifier([]audit.Writer{{Provider: w.Provider, Key: other}, w})
		s := classifier.Classify(append([]byte(w.Prefix()), sealed...))
		if s.Form != census.Encrypted || s.Provider != w.Provider || string(s.Known()) != name {
			t.Errorf("%v: form %d, provider %q, names %q, of them known %q", w, s.Form, s.Provider, s.Names(), s.Known())
		}
	})
}
